"""Another version of the project, as it was committed, in a folder of its own: with its settings and its packages.

A folder belongs to the process that holds the lock beside it. What a killed run left is removed by the next one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ops import git, paths
from ops.errors import Failure

Report = Callable[[str], None]
#: Installed sets of packages that are kept; one has about 350 MB.
KEPT_VENVS = 4
PINS = "requirements.txt"
INSTALLER = paths.ROOT / "ops" / "venv.py"


def home() -> Path:
    """Where the folders are."""
    return paths.PRIVATE / "versions"


@contextmanager
def at(commit: str, report: Report) -> Iterator[Path]:
    """The project at a commit, ready to run; gone afterwards. Raises Failure when git or the packages fail."""
    from filelock import FileLock

    sweep(report)
    folder = home() / f"{commit[:12]}-{os.getpid()}"
    home().mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        try:
            git.run("worktree", "add", "--detach", "--force", str(folder), commit)
            project = folder / git.prefix()
            (project / ".venv").symlink_to(packages(project, report))
            share_logs(project)
            yield project
        finally:
            remove(folder)


def sweep(report: Report = lambda _: None) -> None:
    """Remove the folders whose process is gone."""
    from filelock import FileLock, Timeout

    for folder in sorted(home().glob("*-*[0-9]")):
        with suppress(Timeout), FileLock(folder.with_suffix(".lock"), timeout=0):
            report(f"removing what a killed run left: {folder.name}")
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder, and git's knowledge of it."""
    with suppress(Failure):
        git.run("worktree", "remove", "--force", "--force", str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(Failure):
        git.run("worktree", "prune")
    folder.with_suffix(".lock").unlink(missing_ok=True)


def packages(project: Path, report: Report) -> Path:
    """A `.venv` with what the version pins: this clone's own when that is the same, else one made once and kept."""
    pins = (project / PINS).read_bytes()
    own = paths.ROOT / ".venv"
    if pins == (paths.ROOT / PINS).read_bytes() and own.exists():
        return own.resolve()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(python.encode() + pins).hexdigest()
    folder = paths.CACHE / "venvs" / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PINS).write_bytes(pins)
    report("its packages are made ready")
    # The launcher's own script, on a folder that has the pins and nothing else: it locks, and goes on where it stopped.
    command = [base_python(), "-I", str(INSTALLER), str(folder), PINS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure("the packages of that version cannot be installed", done.stderr.strip()[-1500:], "see above")
    prune(folder)
    return folder / ".venv"


def base_python() -> str:
    """The interpreter that this one's `.venv` was made with: one in a `.venv` would make the new one depend on it."""
    return str(Path(sys.base_exec_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def prune(newest: Path) -> None:
    """Keep the sets of packages that were used last."""
    os.utime(newest)
    others = sorted(newest.parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in others[KEPT_VENVS:]:
        shutil.rmtree(old, ignore_errors=True)


def share_logs(project: Path) -> None:
    """Logs outlive the folder: they are this clone's."""
    logs = paths.PRIVATE / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    (project / ".nexus").mkdir(mode=0o700)
    (project / ".nexus" / "logs").symlink_to(logs)
