"""A circuit breaker: a server that keeps failing is left alone for a while."""

from __future__ import annotations

import time


class Breaker:
    """Opens after ``failures`` in a row; after ``seconds`` it lets one call through, which decides."""

    def __init__(self, failures: int = 5, seconds: float = 15.0) -> None:
        self._limit, self._seconds = failures, seconds
        self._failures, self._until = 0, 0.0

    @property
    def open_for(self) -> float:
        """Return the seconds until a call may be tried; 0 when it may be now."""
        return max(0.0, self._until - time.monotonic()) if self._failures >= self._limit else 0.0

    def enter(self) -> None:
        """Note that a call starts: of several waiting callers one is the trial."""
        if self._failures >= self._limit:
            self._until = time.monotonic() + self._seconds

    def note(self, good: bool) -> None:
        """Note how a call ended."""
        self._failures = 0 if good else self._failures + 1
        if self._failures >= self._limit:
            self._until = time.monotonic() + self._seconds
