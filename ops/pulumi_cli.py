"""The Pulumi CLI with all it needs: language host and provider plugins, official ones or compiled here."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ops import artifacts, go_build, pulumi_download, pulumi_plugins
from ops.errors import MACHINE, Failure
from ops.paths import CACHE, ROOT

Report = Callable[[str], None]
#: CLI versions that are used when found on PATH. The upper end: the SDKs in requirements.txt declare `pulumi<4`, as the
#: protocol may change there. The lower end: what the SDK needs from the engine it asks for feature by feature, so older
#: ones of major 3 may work; this is the oldest that is supported here.
OLDEST, TOO_NEW = (3, 200, 0), (4, 0, 0)
RULE = f"{'.'.join(map(str, OLDEST))} or later, before {TOO_NEW[0]}"
#: The language host and the server of dynamic providers that are used where the official ones are not to be had.
LANGUAGE = ROOT / "offline" / "language"
CLI = "pulumi"
DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Toolchain:
    """How to call Pulumi: its program, what PATH needs in front, and PULUMI_HOME (None: leave it as it is)."""

    source: str
    pulumi: Path
    path_entries: tuple[Path, ...]
    home: Path | None


def pinned() -> str:
    """The CLI's version when it is downloaded or compiled: that of the Python SDK in requirements.txt."""
    return metadata.version("pulumi")


def version(program: Path) -> tuple[int, ...]:
    """The version a CLI reports, ``(3, 259, 0)``; ``(0,)`` when it reports none."""
    try:
        run = subprocess.run(
            [str(program), "version"], env=pulumi_plugins.environment(None), capture_output=True, text=True, check=False
        )
    except OSError:
        return (0,)
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", run.stdout.strip())
    return tuple(map(int, found.groups())) if found else (0,)


def in_range(found: tuple[int, ...]) -> bool:
    """Whether a CLI of that version is supported."""
    return OLDEST <= found < TOO_NEW


def find(source: str) -> Toolchain | None:
    """What is there already and complete, without doing any work; None when :func:`ensure` would have to act."""
    if source == "local":
        folder = _local_folder()
        return _local(folder) if (folder / "bin" / CLI).exists() else None
    program = _on_path() or _downloaded()
    if not program.exists() or _absent(None):
        return None
    return _upstream(program)


def ensure(source: str, report: Report) -> Toolchain:
    """Make everything that ``source`` (``upstream`` or ``local``) calls for, and nothing twice. Raises Failure."""
    pulumi_plugins.refuse_shadows()
    return _ensure_local(report) if source == "local" else _ensure_upstream(report)


# upstream: the official programs


def _upstream(program: Path) -> Toolchain:
    return Toolchain("upstream", program, (program.parent,), None)


def _downloaded() -> Path:
    return CACHE / "pulumi" / f"upstream-{pinned()}" / CLI


def _on_path() -> Path | None:
    program = shutil.which(CLI)
    return Path(program) if program and in_range(version(Path(program))) else None


def _absent(folder: Path | None) -> dict[str, str]:
    home = pulumi_plugins.home(folder)
    wanted = pulumi_plugins.required()
    return {name: each for name, each in wanted.items() if not pulumi_plugins.installed(name, each, home)}


def _ensure_upstream(report: Report) -> Toolchain:
    program = _on_path() or _downloaded()
    if not program.exists():
        unusable = shutil.which(CLI)
        if unusable:
            report(f"{unusable} is {_text(version(Path(unusable)))}, supported is {RULE}: getting {pinned()}")
        with go_build.lock(
            CACHE / "pulumi" / "upstream.lock", lambda: report("waiting for another download of Pulumi")
        ):
            if not program.exists():
                pulumi_download.fetch(pinned(), program.parent, report)
    _require_range(program)
    for name, wanted in _absent(None).items():
        report(f"installing the {name} plugin {wanted}")
        pulumi_plugins.install(
            program, name, wanted, folder=None, file=None, server=pulumi_download.mirror_of_plugins()
        )
    return _upstream(program)


def _require_range(program: Path) -> None:
    found = version(program)
    if not in_range(found):
        raise Failure(
            f"{program} reports version {_text(found)}",
            f"supported is {RULE}",
            f"remove {program.parent}, then run again",
            MACHINE,
        )


def _text(found: tuple[int, ...]) -> str:
    return ".".join(map(str, found)) if any(found) else "of an unknown version"


# local: compiled from package registries


def _local_folder() -> Path:
    """Keyed by the programs in it: each artifact's path has the digest of what it is made from in it."""
    parts = {name: str(artifacts.path(name)) for name in (CLI, *sorted(set(pulumi_plugins.compiled().values())))}
    language = [file.read_text() for file in sorted(LANGUAGE.rglob("*")) if file.is_file() and file.suffix != ".pyc"]
    key = hashlib.sha256(json.dumps([parts, language, pulumi_plugins.required()], sort_keys=True).encode()).hexdigest()
    return CACHE / "pulumi" / f"local-{key[:12]}"


def _local(folder: Path) -> Toolchain:
    return Toolchain("local", folder / "bin" / CLI, (folder / "bin",), folder / "home")


def names() -> list[str]:
    """The artifacts that ``ensure("local")`` compiles, for an estimate: ``artifacts.estimate(pulumi_cli.names())``."""
    return [CLI, *sorted(set(pulumi_plugins.compiled().values()))]


def _ensure_local(report: Report) -> Toolchain:
    folder = _local_folder()
    if not folder.exists():
        programs = {name: artifacts.build(name, report) for name in names()}
        with go_build.lock(CACHE / "pulumi" / "local.lock", lambda: report("waiting for another set-up of Pulumi")):
            if not folder.exists():
                _assemble(folder, programs, report)
    return _local(folder)


def _assemble(folder: Path, programs: dict[str, Path], report: Report) -> None:
    """Put the folder together beside its place and move it there, so that a killed run leaves no half of it."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "bin").mkdir(parents=True)
    _link(programs[CLI], partial / "bin" / CLI)
    _require_range(partial / "bin" / CLI)
    # Beside the CLI, where the official release has them too; the engine warns of one that is elsewhere on PATH.
    shutil.copytree(LANGUAGE, partial / "bin", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name, artifact in pulumi_plugins.compiled().items():
        wanted = pulumi_plugins.required()[name]
        report(f"installing the {name} plugin {wanted}")
        pulumi_plugins.install(partial / "bin" / CLI, name, wanted, folder=partial / "home", file=programs[artifact])
    partial.rename(folder)
    _prune(folder)


def _prune(newest: Path) -> None:
    """Remove assemblies older than a day, but the newest few: other clones may be at work on one."""
    others = [each for each in newest.parent.glob("local-*") if each != newest]
    for old in sorted(others, key=lambda each: each.stat().st_mtime, reverse=True)[artifacts.KEEP :]:
        if time.time() - old.stat().st_mtime > DAY:
            shutil.rmtree(old, ignore_errors=True)


def _link(program: Path, target: Path) -> None:
    """A hard link: no second copy, and it stays when the artifact is pruned."""
    try:
        os.link(program, target)
    except OSError:
        shutil.copy2(program, target)
