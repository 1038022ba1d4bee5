"""What PostgreSQL and Redis have in common: a bounded probe, a state, and a task that keeps the connection alive."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

log = logging.getLogger(__name__)

#: Seconds a probe may take: `/ready` must answer before a caller's usual 3 s.
PROBE_LIMIT = 2.0
#: Seconds between the keeper's looks at a server that is up. Requests report trouble at once, so this may be long.
RECHECK = 15.0
#: Back-off while a server is away, in seconds: the ceiling bounds how long healing takes.
FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0


def delays(first: float = FIRST_DELAY, longest: float = LONGEST_DELAY) -> Iterator[float]:
    """Yield growing waits in seconds, each with jitter so that the services of a stack do not all knock together."""
    delay = first
    while True:
        yield delay * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        delay = min(delay * 2, longest)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe saw: ``latency`` in seconds when the server answered, else the ``error`` in words."""

    latency: float | None
    error: str = ""


class DependencyAwayError(Exception):
    """A server the request needs did not answer; the caller may try again."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class Dependency(ABC):
    """A server this service uses. It may be away at any time, also at start; nothing but requests that need it fail."""

    name: str

    def __init__(self) -> None:
        self.last: Probe | None = None
        self._last_up = float("-inf")
        self._doubt = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether the last probe was answered."""
        return self.last is not None and self.last.latency is not None

    def up_within(self, seconds: float) -> bool:
        """Whether a probe was answered that lately, or the last one was: it is worth trying again."""
        return self.up or time.monotonic() - self._last_up < seconds

    @abstractmethod
    async def ping(self) -> None:
        """Ask the server the cheapest real question. Raises whatever its driver raises."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    def connections(self) -> dict[str, int]:
        """Return the pool's size by state: ``in_use``, ``idle`` and ``max``."""

    def doubt(self) -> None:
        """Have the keeper look now: a request met an error."""
        self._doubt.set()

    async def probe(self, limit: float = PROBE_LIMIT) -> Probe:
        """Ask once and return within ``limit`` seconds, also when the server hangs; changes of state are logged."""
        started = time.perf_counter()
        question = asyncio.ensure_future(self.ping())
        try:
            done, _ = await asyncio.wait({question}, timeout=limit)
        finally:
            question.cancel()  # not awaited: a driver may wait for a hung server while it tidies up
        if not done:
            question.add_done_callback(lambda task: task.cancelled() or task.exception())
            return self._note(Probe(None, f"no answer within {limit:g} s"))
        if error := question.exception():
            return self._note(Probe(None, explain(error)))
        return self._note(Probe(time.perf_counter() - started))

    async def keep(self) -> None:
        """Run for ever: look now and then while the server is up, with back-off while it is away."""
        waits = delays()
        while True:
            if (await self.probe()).latency is None:
                await asyncio.sleep(next(waits))
                continue
            waits = delays()
            self._doubt.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubt.wait(), RECHECK)

    def _note(self, probe: Probe) -> Probe:
        before, self.last = self.last, probe
        if before is not None and before.latency is not None:
            self._last_up = time.monotonic()
        if probe.latency is None and (before is None or before.latency is not None):
            log.warning("%s is away: %s", self.name, probe.error, extra={"dependency": self.name})
        elif probe.latency is not None and (before is None or before.latency is None):
            log.info("%s is up", self.name, extra={"dependency": self.name, "latency_ms": milliseconds(probe.latency)})
        return probe


def milliseconds(seconds: float) -> float:
    """Return milliseconds with the two decimals that a person reads."""
    return round(seconds * 1000, 2)


def explain(error: BaseException) -> str:
    """Return a driver's error as one short line. Drivers do not put passwords into their errors."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:200] if first else type(error).__name__
