"""Runs the Go compiler: what it is, one locked build with progress, and failures that say what to do."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ops.errors import MACHINE, Failure
from ops.paths import CACHE

if TYPE_CHECKING:
    from ops.artifacts import Artifact, Copy, Report

#: Bytes that must be free before a build: the modules and compiled packages of the largest one took 3.4 GB.
FREE = 4 * 1024**3
#: Seconds between two lines of progress.
PROGRESS = 5.0
INSTALL = "install Go {needed} or later (https://go.dev/dl, or your mirror of it) and put it on PATH"


@cache
def facts(folder: Path) -> dict[str, str]:
    """``{"GOVERSION", "GOOS", "GOARCH"}`` as used for the module in this folder; a Failure when Go cannot serve it."""
    needed = _needed(folder)
    if not shutil.which("go"):
        raise Failure(
            "the Go compiler is not on PATH",
            f"{folder.name} is compiled here, as only package registries can be reached",
            INSTALL.format(needed=needed),
            MACHINE,
        )
    names = ("GOVERSION", "GOOS", "GOARCH")
    run = _go("env", "-json", *names, folder=folder)
    found = json.loads(run.stdout) if run.returncode == 0 else {}
    version = found.get("GOVERSION", "")
    if run.returncode or _numbers(version) < _numbers(needed):
        raise Failure(
            f"the Go compiler on PATH is {version or 'too old'}, {folder.name} needs {needed} or later",
            run.stderr.strip(),
            INSTALL.format(needed=needed),
            MACHINE,
        )
    return found


def _go(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", *arguments], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )


def _needed(folder: Path) -> str:
    go_mod = folder / "go.mod"
    if not go_mod.exists():
        raise Failure(
            f"{go_mod} does not exist", "a compiled program is described by a Go module", "git checkout offline"
        )
    found = re.search(r"^go (\S+)", go_mod.read_text(), re.MULTILINE)
    return found.group(1) if found else "1.26"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


@contextmanager
def lock(file: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold a file lock, yield its descriptor: a compiler that outlives a killed run inherits it and is waited for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def compile(artifact: Artifact, output: Path, report: Report, lock_descriptor: int) -> None:
    """Write the program to ``output``; the compiler's own words go to ``CACHE/logs/<name>.log``."""
    _require_space(artifact.name)
    folder = stage(artifact) if artifact.copies else artifact.folder
    log = CACHE / "logs" / f"{artifact.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w {artifact.ldflags}".rstrip()]
    flags += [f"-tags={artifact.tags}"] if artifact.tags else []
    command = ["go", "build", *flags, "-o", str(output), artifact.package]
    with log.open("w") as words:
        compiler = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=words, stderr=words, pass_fds=(lock_descriptor,)
        )
        _wait(compiler, artifact, report)
    if compiler.returncode:
        _explain(artifact, compiler.returncode, log)


def _wait(compiler: subprocess.Popen[bytes], artifact: Artifact, report: Report) -> None:
    start = time.monotonic()
    try:
        while compiler.poll() is None:
            report(
                f"compiling {artifact.name} {artifact.version}: {_spent(time.monotonic() - start, artifact.seconds)}"
            )
            try:
                compiler.wait(PROGRESS)
            except subprocess.TimeoutExpired:
                continue
    finally:
        if compiler.poll() is None:
            compiler.terminate()
            compiler.wait()


def _spent(seconds: float, estimate: int) -> str:
    return f"{seconds:.0f} s of about {estimate} s" if seconds < estimate else f"{seconds:.0f} s, longer than usual"


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _require_space(name: str) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(CACHE).free
    if free < FREE:
        raise Failure(
            f"{free / 1024**3:.1f} GB are free on the disk of {CACHE}, compiling {name} needs {FREE / 1024**3:.0f} GB",
            "modules and compiled packages are kept there and in Go's own cache",
            "free some space (`docker system df` and `go clean -cache` show and free the largest), then run again",
            MACHINE,
        )


def stage(artifact: Artifact) -> Path:
    """Copy the module, and the modules it replaces by folders, to a place of their own and return it."""
    folder = CACHE / "stage" / artifact.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(artifact.folder, folder)
    for copy in artifact.copies:
        target = folder / copy.to
        # Files in Go's module cache are read-only, and a copy keeps modes: copyfile does not.
        shutil.copytree(_downloaded(copy), target, copy_function=shutil.copyfile)
        for directory in (target, *(each for each in target.rglob("*") if each.is_dir())):
            directory.chmod(0o755)
        for name, text in copy.add.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)
        for name, texts in copy.edit.items():
            _edit(target / name, texts)
    return folder


def _downloaded(copy: Copy) -> Path:
    """Where the module is in Go's cache, as pinned."""
    wanted = f"{copy.module}@{copy.version}"
    run = _go("mod", "download", "-json", wanted, folder=CACHE)
    found = json.loads(run.stdout or "{}")
    if run.returncode or found.get("Error"):
        raise Failure(f"{wanted} cannot be downloaded", found.get("Error") or run.stderr.strip(), _PROXY)
    if found["Sum"] != copy.sum:
        raise Failure(
            f"{wanted} is not what was pinned: its checksum is {found['Sum']}, the table says {copy.sum}",
            "a version of a Go module never changes",
            "find out what your module proxy serves; do not use it until then",
        )
    return Path(found["Dir"])


def _edit(file: Path, texts: dict[str, str]) -> None:
    content = file.read_text()
    for old, new in texts.items():
        if content.count(old) != 1:
            raise Failure(
                f"{file.name} has {old!r} {content.count(old)} times instead of once",
                "the edits in offline/artifacts.yaml are made for one version of the module",
                "adapt them to the pinned version",
            )
        content = content.replace(old, new)
    file.write_text(content)


_PROXY = "see `go env GOPROXY`: it must name a module proxy that this machine reaches"
#: What the compiler's output tells about the reason: pattern -> (why, remedy).
_REASONS = {
    "no space left on device": ("the disk is full", "free some space, then run again: what is compiled is kept"),
    "signal: killed": ("the machine ran out of memory", "close something (2 GB free are enough), then run again"),
    "dial tcp|lookup .*: no such host|i/o timeout|connection refused|403 Forbidden": (
        "a module was not served",
        _PROXY,
    ),
}


def _explain(artifact: Artifact, code: int, log: Path) -> NoReturn:
    words = log.read_text(errors="replace")
    last = "\n".join(words.strip().splitlines()[-12:])
    for pattern, (why, remedy) in _REASONS.items():
        if re.search(pattern, words, re.IGNORECASE):
            raise Failure(f"{artifact.name} could not be compiled: {why}", last, f"{remedy} (log: {log})", MACHINE)
    raise Failure(f"{artifact.name} could not be compiled: go build ended with {code}", last, f"the whole log: {log}")
