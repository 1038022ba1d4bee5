"""Ends a verb: every failure as what, why and what to do; the unexpected goes to a log file, not to the screen."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ops import console, paths
from ops.errors import BAD_INPUT, FAILED, INTERRUPTED, Failure

#: Log files kept of each kind.
KEPT_LOGS = 30
INDENT = " " * 14


def render(failure: Failure) -> str:
    """The three parts, each aligned under its name."""
    parts = [f"error: {failure.what}"]
    for label, text in (("why:", failure.why), ("what to do:", failure.remedy)):
        if text:
            parts.append(f"  {label:<12}" + f"\n{INDENT}".join(text.strip().splitlines()))
    return "\n".join(parts)


def log_file(name: str, suffix: str = ".log") -> Path:
    """A new private log file; old ones of the same kind are dropped."""
    folder = paths.PRIVATE / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in sorted(folder.glob(f"{name}-*{suffix}"))[: -KEPT_LOGS + 1]:
        old.unlink(missing_ok=True)
    path = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}{suffix}"
    path.touch(mode=0o600)
    return path


def as_failure(error: BaseException) -> Failure | None:
    """The failure behind an error that says what to do; None for the unexpected."""
    if isinstance(error, Failure):
        return error
    # By name: importing infra.errors for every verb would load pydantic for `--help`.
    if type(error).__name__ == "ConfigError" and type(error).__module__ == "infra.errors":
        file, field, value = getattr(error, "file", ""), getattr(error, "field", ""), getattr(error, "value", None)
        rule, remedy = getattr(error, "rule", ""), getattr(error, "remedy", "")
        return Failure(f"{file}: {field} is {value!r}", rule, remedy, BAD_INPUT)
    return None


def guarded(verb: str, action: Callable[[], int | None]) -> int:
    """Run a verb and return the exit code of the process."""
    try:
        return action() or 0
    except KeyboardInterrupt:
        _print(f"\ninterrupted. `./nexus {verb}` again goes on where this run stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        console.mute()
        return FAILED
    except Exception as error:  # the one place where anything may arrive
        failure = as_failure(error)
        if failure is None:
            failure = _unexpected(verb, error)
        _print(render(failure))
        return failure.code


def _unexpected(verb: str, error: Exception) -> Failure:
    path = log_file(f"error-{verb}")
    path.write_text("".join(traceback.format_exception(error)))
    why = f"{type(error).__name__}: {error}"
    return Failure(
        f"`nexus {verb}` ran into something it does not know",
        why.splitlines()[0][:300],
        f"see {path}; `./nexus doctor` checks this machine. If this looks like our fault, report it with that file.",
    )


def _print(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
