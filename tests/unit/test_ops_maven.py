"""Java parts of an image: exactly what is pinned, each in its place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ops import maven
from ops.errors import Failure
from ops.paths import ROOT

RECIPE = ROOT / "offline" / "images" / "elasticsearch"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "maven.sha256").write_text(
        "".join(
            f"{hashlib.sha256(text).hexdigest()}  {path}\n" for path, text in ((("lib/a.jar", b"a")), ("x/b.jar", b"b"))
        )
    )
    return folder


def fetched(tmp_path: Path, **files: bytes) -> Path:
    folder = tmp_path / "fetched"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.jar").write_bytes(content)
    return folder


def test_what_is_pinned_goes_to_its_places(tmp_path: Path, recipe: Path) -> None:
    maven.place(recipe, fetched(tmp_path, a=b"a", b=b"b"), tmp_path / "context")
    assert (tmp_path / "context/lib/a.jar").read_bytes() == b"a"
    assert (tmp_path / "context/x/b.jar").read_bytes() == b"b"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a": b"a"}, "missing: ['b.jar']"),
        ({"a": b"a", "b": b"b", "c": b"c"}, "not pinned: ['c.jar']"),
        ({"a": b"a", "b": b"another"}, "b.jar has the checksum"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, recipe: Path, files: dict[str, bytes], why: str) -> None:
    with pytest.raises(Failure) as refused:
        maven.place(recipe, fetched(tmp_path, **files), tmp_path / "context")
    assert why in str(refused.value.why)
    assert not list((tmp_path / "context").rglob("b.jar"))


def test_elasticsearchs_parts_are_all_pinned_and_none_twice() -> None:
    pins = maven.pins(RECIPE)
    assert {Path(path).parts[0] for path in pins} == {"lib", "modules"}
    assert all(len(digest) == 64 for digest in pins.values())
    assert len({Path(path).name for path in pins}) == len(pins)
    version = "7.17.29"
    assert f"lib/elasticsearch-{version}.jar" in pins
    assert f"<version>{version}</version>" in (RECIPE / maven.PROJECT).read_text()
