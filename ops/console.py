"""What people read: results on stdout, progress and failures on stderr, plain lines where no terminal is attached."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

#: Lines shown of a long text before and after the fold.
FOLD_HEAD, FOLD_TAIL = 6, 14


@cache
def out() -> Console:
    """Where results go."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """Where progress and failures go."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    # A log has no width of its own: wrapping at 80 columns would cut lines that people search for.
    return Console(stderr=stderr, highlight=False, soft_wrap=not terminal, width=None if terminal else 200)


def say(text: str = "") -> None:
    """One line of progress."""
    err().print(text, markup=False)


def write(text: str) -> None:
    """A result, exactly as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def mute() -> None:
    """After the reader of a pipe went away: what is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ask(question: str) -> bool:
    """Whether a person at the terminal answered yes; no terminal is a no."""
    if not sys.stdin.isatty():
        return False
    return err().input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def fold(lines: Sequence[str], rest: str = "") -> list[str]:
    """The first and the last lines of a long text, and how many were left out (``rest`` says where they are)."""
    if len(lines) <= FOLD_HEAD + FOLD_TAIL + 1:
        return list(lines)
    hidden = len(lines) - FOLD_HEAD - FOLD_TAIL
    note = f"... {hidden} lines more{f' in {rest}' if rest else ''} ..."
    return [*lines[:FOLD_HEAD], note, *lines[-FOLD_TAIL:]]


def seconds(value: float) -> str:
    """A duration as people say it: ``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"
