"""A service tells the memory limit that the kernel holds it to."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.common.metrics import MemoryLimit


def told(*files: Path) -> list[float]:
    return [sample.value for family in MemoryLimit(files).collect() for sample in family.samples]


@pytest.mark.parametrize("version", [2, 1])
def test_the_limit_is_what_the_kernel_says_at_each_look(tmp_path: Path, version: int) -> None:
    files = tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"
    files[2 - version].write_text("134217728\n")
    assert told(*files) == [134217728]
    files[2 - version].write_text("268435456\n")
    assert told(*files) == [268435456]


def test_without_a_limit_nothing_is_told(tmp_path: Path) -> None:
    assert told(tmp_path / "none") == []
    (tmp_path / "memory.max").write_text("max\n")
    assert told(tmp_path / "memory.max") == []
