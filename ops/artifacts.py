"""Go programs that are compiled here, as they cannot be downloaded: declared in a table, kept by content.

A build lands in ``CACHE/artifacts/<name>-<key>/<name>``; the key covers everything the binary depends on, so that a
second build does nothing, clones of the project share, and a half-finished one is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ops import go_build
from ops.errors import BAD_INPUT, Failure
from ops.paths import CACHE, ROOT

Report = Callable[[str], None]
TABLE = ROOT / "offline" / "artifacts.yaml"
#: Older builds of one program that are kept: other clones or branches may still need them.
KEEP = 3


@dataclass(frozen=True)
class Copy:
    """A module that is copied beside go.mod: files added (path -> text), texts replaced (path -> old -> new)."""

    module: str
    version: str
    sum: str
    to: str
    add: dict[str, str] = field(default_factory=dict)
    edit: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """One row of ``offline/artifacts.yaml``; ``seconds`` is a cold build on two cores."""

    name: str
    version: str
    module: str
    package: str
    seconds: int
    ldflags: str = ""
    tags: str = ""
    copies: tuple[Copy, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return ROOT / self.module


@cache
def load() -> dict[str, Artifact]:
    """Every artifact by name."""
    rows: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text())
    return {name: _artifact(name, row) for name, row in rows.items()}


def _artifact(name: str, row: dict[str, Any]) -> Artifact:
    copies = tuple(Copy(**copy) for copy in row.get("copies", ()))
    return Artifact(name=name, **{**row, "version": str(row["version"]), "copies": copies})


def get(name: str) -> Artifact:
    """The artifact of that name; a Failure names the ones there are."""
    try:
        return load()[name]
    except KeyError:
        raise Failure(
            f"{TABLE.relative_to(ROOT)} has no artifact {name!r}", f"it has: {', '.join(load())}", code=BAD_INPUT
        ) from None


def path(name: str) -> Path:
    """Where the program is, or will be after :func:`build`."""
    artifact = get(name)
    return CACHE / "artifacts" / f"{name}-{key(artifact)[:12]}" / name


def key(artifact: Artifact) -> str:
    """Digest of all inputs: the row, the files of the module and of local ones it refers to, Go, platform."""
    row = {field: value for field, value in asdict(artifact).items() if field != "seconds"}
    digest = hashlib.sha256(json.dumps([row, go_build.facts(artifact.folder)], sort_keys=True).encode())
    for folder in [artifact.folder, *_replaced(artifact)]:
        for file in _sources(folder):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _replaced(artifact: Artifact) -> list[Path]:
    """Folders of this project that go.mod puts in another module's place (those that are copied in have a checksum)."""
    go_mod = artifact.folder / "go.mod"
    targets = re.findall(r"=>\s+(\.\.?/\S*)", go_mod.read_text()) if go_mod.exists() else []
    folders = ((artifact.folder / target).resolve() for target in targets)
    return [folder for folder in folders if folder.is_dir()]


def _sources(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith((".", "_")) and each != "testdata")
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(("_test.go", ".md", ".py")):
                yield Path(root, name)


def missing(names: Iterable[str]) -> list[str]:
    """Those that would have to be compiled."""
    return [name for name in names if not path(name).exists()]


def estimate(names: Iterable[str]) -> int:
    """Seconds that compiling the missing ones takes here, from measured cold times; less when Go's cache is warm."""
    cores = min(os.cpu_count() or 1, 8)  # past that the linker and the longest packages decide
    return round(sum(get(name).seconds for name in missing(names)) * 2 / cores)


def build(name: str, report: Report) -> Path:
    """Compile what is missing and return the program's path.

    Safe to be killed and to be started twice: the second one waits, and only a finished program gets its final name.
    Raises Failure when Go is missing or too old, the disk is full, or the compiler fails.
    """
    artifact, target = get(name), path(name)
    if target.exists():
        return target
    with go_build.lock(
        CACHE / "artifacts" / f"{name}.lock", lambda: report(f"waiting: {name} is being compiled")
    ) as fd:
        if target.exists():
            return target
        partial = target.parent.with_name(f".{target.parent.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        go_build.compile(artifact, partial / name, report, fd)
        partial.rename(target.parent)
    _prune(name, target.parent)
    return target


def _prune(name: str, newest: Path) -> None:
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}")
    builds = [each for each in newest.parent.iterdir() if pattern.fullmatch(each.name) and each != newest]
    for old in sorted(builds, key=lambda each: each.stat().st_mtime, reverse=True)[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)
