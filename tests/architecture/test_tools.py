"""The code is clean by the project's own tools, at their pinned versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
GO = sorted(path.parent for path in (ROOT / "offline").rglob("go.mod") if "toolchain" not in path.parts)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pyright", "infra", "components", "ops", "services", "policy"],
    ],
    ids=" ".join,
)
def test_python_is_clean(command: list[str]) -> None:
    done = subprocess.run(
        [TOOLS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", GO, ids=lambda path: path.name)
def test_go_is_formatted(module: Path) -> None:
    done = subprocess.run(["gofmt", "-l", "."], cwd=module, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
