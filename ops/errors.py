"""The one error a verb ends with: what failed, why, and what to do about it.

Exit codes (documented in ``docs/cli.md``): 0 done, 1 failed, 2 wrong usage or settings, 3 the machine lacks something,
4 the state is locked by another run, 5 not healthy in time.
"""

from __future__ import annotations

FAILED, BAD_INPUT, MACHINE, LOCKED, UNHEALTHY = 1, 2, 3, 4, 5


class Failure(Exception):
    """A failure a person can act on.

    ``what`` failed (one line), ``why`` (the rule or the tool's own words), ``remedy`` (a command or an edit), and the
    exit ``code`` of the process.
    """

    def __init__(self, what: str, why: str = "", remedy: str = "", code: int = FAILED) -> None:
        super().__init__(what)
        self.what, self.why, self.remedy, self.code = what, why, remedy, code

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.remedy) if part)
