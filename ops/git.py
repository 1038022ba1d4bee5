"""What git knows of the program that runs: its commit, what of it is not committed, and the way between two commits."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.settings import file_of
from ops import paths
from ops.errors import MACHINE, Failure

#: Never part of a version: the settings are written down as they are used; the others are this machine's.
APART = (".venv", ".nexus")
#: File names that a message shows of those that differ.
SHOWN = 5


@dataclass(frozen=True)
class Version:
    """A commit (empty: the project is not under git), its author and subject, and the paths that differ from it."""

    commit: str = ""
    author: str = ""
    subject: str = ""
    dirty: tuple[str, ...] = ()


def run(*arguments: str, root: Path | None = None) -> str:
    """What git answers, without the last line's end; raises Failure with its words."""
    command = ["git", "-C", str(root or paths.ROOT), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure("git is not installed", "versions are kept in it", "install git", MACHINE) from None
    if result.returncode:
        raise Failure(f"git {' '.join(arguments[:2])} failed", result.stderr.strip(), f"look at {root or paths.ROOT}")
    return result.stdout.rstrip("\n")


def version(stack: str, root: Path | None = None) -> Version:
    """What is checked out; the stack's own settings file never makes it differ from its commit."""
    try:
        commit = run("rev-parse", "--verify", "HEAD", root=root)
    except Failure:
        return Version()
    author, subject = run("log", "-1", "--format=%an <%ae>%n%s", root=root).split("\n", 1)
    without = [f":(exclude){path}" for path in (file_of(stack), *APART)]
    # -z: names as they are, one record each; of a rename only the new name begins with its two letters of state.
    listed = run("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".", *without, root=root)
    return Version(commit, author, subject, tuple(entry[3:] for entry in listed.split("\0") if entry))


def has(commit: str, root: Path | None = None) -> bool:
    """Whether the repository has that commit with its files."""
    try:
        run("cat-file", "-e", f"{commit}^{{tree}}", root=root)
    except Failure:
        return False
    return True


def prefix(root: Path | None = None) -> str:
    """The project's folder in its repository; empty when it is the whole of it."""
    return run("rev-parse", "--show-prefix", root=root)


def between(older: str, newer: str, root: Path | None = None) -> list[str]:
    """The commits that lead from one to the other, newest first: ``< abc subject`` leaves one, ``> def`` brings it."""
    arguments = ("log", "--left-right", "--format=%m %h %s", f"{older}...{newer}", "--", ".")
    return run(*arguments, root=root).splitlines()


def shortened(names: tuple[str, ...]) -> str:
    """Some file names for a message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
