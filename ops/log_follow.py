"""Follows the logs of a stack: one thread a source, and one that hears of containers and services that are started."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from components._labels import STACK
from ops import log_sources, objects
from ops.errors import MACHINE, Failure
from ops.log_lines import Line
from ops.log_sources import Source

if TYPE_CHECKING:
    from docker import DockerClient

#: Seconds for which a line is held back, so that those of several containers can be put in order.
SETTLE = 0.2
EVENTS: dict[str, Any] = {"type": ["container", "service"], "event": ["start", "create"]}


class Follower:
    """The lines of a stack's sources as they are written, for those sources that ``wanted`` takes.

    ``seen`` has the moment up to which each source was read, by its id; ``after`` is that of all others.
    """

    def __init__(
        self,
        client: DockerClient,
        stack: str,
        wanted: Callable[[Source], bool],
        seen: dict[str, str],
        after: str = "",
    ) -> None:
        self._client, self._stack, self._wanted = client, stack, wanted
        self._seen, self._after = seen, after
        self._queue: SimpleQueue[Line | None] = SimpleQueue()
        self._readers: dict[str, threading.Thread] = {}

    def lines(self, sources: Iterable[Source], began: float) -> Iterator[Line]:
        """Lines for ever. What was started since ``began`` (Unix time) is followed, too.

        Raises Failure when the engine goes away.
        """
        for source in sources:
            self._follow(source)
        _background(lambda: self._hear(int(began)))
        yield from self._settled()

    def _settled(self) -> Iterator[Line]:
        """Every line once it is SETTLE old, behind those of before it that came meanwhile."""
        held: list[tuple[float, Line]] = []  # when each came, in that order
        while True:
            now = time.monotonic()
            if held and held[0][0] + SETTLE <= now:
                until = max(line.moment for came, line in held if came + SETTLE <= now)
                yield from _sorted(line for _, line in held if line.moment <= until)
                held = [(came, line) for came, line in held if line.moment > until]
            try:
                line = self._queue.get(timeout=max(0.0, held[0][0] + SETTLE - now) if held else None)
            except Empty:
                continue
            if line is None:
                yield from _sorted(line for _, line in held)
                raise Failure("the Docker engine went away", "its events ended", "start it, and follow again", MACHINE)
            held.append((time.monotonic(), line))

    def _follow(self, source: Source) -> None:
        """Read a source in a thread of its own, once the one of its last run has read that to its end."""
        if self._wanted(source):
            before = self._readers.get(source.id)
            self._readers[source.id] = _background(lambda: self._read(source, before))

    def _read(self, source: Source, before: threading.Thread | None) -> None:
        if before:
            before.join()
        after = self._seen.get(source.id, self._after)
        for line in log_sources.lines(self._client, source, after=after, follow=True):
            self._seen[source.id] = line.moment
            self._queue.put(line)

    def _hear(self, began: int) -> None:
        """Follow what is started. When the events end, so does all."""
        try:
            for event in self._client.events(since=began, filters=EVENTS, decode=True):
                if source := self._started(event):
                    self._follow(source)
        finally:
            self._queue.put(None)

    def _started(self, event: dict[str, Any]) -> Source | None:
        """The source that an event is about, if it is one of this stack that starts."""
        from docker.errors import NotFound

        actor = event["Actor"]
        labels = actor.get("Attributes") or {}
        if (event["Type"], event["Action"]) == ("container", "start"):
            ours = labels.get(STACK) == self._stack and objects.TASK not in labels
            return log_sources.of_container(actor["ID"], labels["name"], labels) if ours else None
        if (event["Type"], event["Action"]) == ("service", "create"):
            try:  # a service's event has no labels
                item = self._client.api.inspect_service(actor["ID"])
            except NotFound:
                return None
            ours = (item["Spec"].get("Labels") or {}).get(STACK) == self._stack
            return log_sources.of_service(item) if ours else None
        return None


def _sorted(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.moment)


def _background(work: Callable[[], None]) -> threading.Thread:
    """A thread that never keeps the process; it ends with the engine's connection, and says nothing of that."""
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    def quiet() -> None:
        # How a read of a connection ends that was closed, here or there.
        with suppress(DockerException, HTTPError, OSError, ValueError, AttributeError, struct.error):
            work()

    thread = threading.Thread(target=quiet, daemon=True)
    thread.start()
    return thread
