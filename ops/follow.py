"""Follows a running CLI: its events as they come, its time limit, and how it is asked to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, BinaryIO, Self

from ops import console
from ops.errors import Failure

Event = Mapping[str, Any]
#: Seconds the CLI gets to finish what it has begun once it was asked to stop.
GRACE = 30.0
#: Seconds between two looks for new events.
PAUSE = 0.05


class Stopper:
    """Passes Ctrl-C and SIGTERM on to the CLI instead of raising them here: the first asks, the second ends it."""

    def __init__(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        self.process, self.timeout = process, timeout
        self.interrupted = self.late = False
        self._asked = 0
        self._deadline = time.monotonic() + timeout
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.process.poll() is None:  # whoever listens to the events went away
            self._stop()
            self.process.wait(GRACE)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupted = True
        if not self._asked:
            console.say("stopping: what has begun is finished first. Press Ctrl-C again to end it at once.")
        self._stop()

    def _stop(self) -> None:
        self._asked += 1
        self.process.send_signal(signal.SIGKILL if self._asked > 1 else signal.SIGINT)

    def check_time(self) -> None:
        """Ask the CLI to stop once its time is over; end it when it does not."""
        if time.monotonic() > self._deadline:
            self.late = True
            self._deadline = time.monotonic() + GRACE
            self._stop()

    def conclude(self) -> None:
        """After the end: say why the CLI was stopped, if it was."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self.late:
            raise Failure(
                f"stopped after {console.seconds(self.timeout)}",
                "that is the limit set by --timeout",
                "give it longer if the machine is slow",
            )


def events(process: subprocess.Popen[bytes], reader: BinaryIO, timeout: float) -> Iterator[Event]:
    """Events from the file that the CLI writes to, until it has ended and everything is read."""
    rest = b""
    with Stopper(process, timeout) as stopper:
        while True:
            ended = process.poll() is not None
            chunk = reader.read()
            *lines, rest = (rest + chunk).split(b"\n")
            yield from parse(lines)
            if ended and not chunk:
                break
            if not chunk:
                time.sleep(PAUSE)
            if not ended:
                stopper.check_time()
        yield from parse([rest])
    stopper.conclude()


def parse(lines: list[bytes]) -> Iterator[Event]:
    """Events of complete lines; the many debug messages are dropped unread."""
    for line in lines:
        if line.startswith(b"{") and b'"severity":"debug"' not in line[-200:]:
            yield json.loads(line)
