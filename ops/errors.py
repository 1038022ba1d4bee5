"""The one error a verb ends with: what failed, why, and what to do about it.

Exit codes (documented in ``docs/cli.md``): 0 done, 1 failed, 2 wrong usage or settings, 3 the machine lacks something,
4 the state is locked by another run, 5 not healthy, 6 something was changed outside, 130 interrupted.
"""

from __future__ import annotations

FAILED, BAD_INPUT, MACHINE, LOCKED, UNHEALTHY, DRIFTED, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

#: What each exit code says, for ``--help`` and ``docs/cli.md``.
MEANINGS = {
    0: "done",
    FAILED: "failed",
    BAD_INPUT: "wrong usage or settings; nothing was touched",
    MACHINE: "the machine lacks something",
    LOCKED: "the stack is locked by another run",
    UNHEALTHY: "not every service is healthy",
    DRIFTED: "something was changed outside (drift)",
    INTERRUPTED: "interrupted",
}


class Failure(Exception):  # noqa: N818  people meet it by this name
    """A failure a person can act on.

    ``what`` failed (one line), ``why`` (the rule or the tool's own words), ``remedy`` (a command or an edit), and the
    exit ``code`` of the process.
    """

    def __init__(self, what: str, why: str = "", remedy: str = "", code: int = FAILED) -> None:
        super().__init__(what)
        self.what, self.why, self.remedy, self.code = what, why, remedy, code

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.remedy) if part)
