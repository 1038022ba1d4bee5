"""Progress of stages that run at the same time: live on a terminal, plain lines with the elapsed time in a log."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from ops import console

#: Seconds of silence after which a log gets a sign of life.
HEARTBEAT = 30.0
#: Seconds under which a stage that had nothing to say is not worth a line.
BRIEF = 1.0


class Stage:
    """One stage: what it does now, since when, and about how long it takes in total (seconds, None when unknown)."""

    def __init__(self, board: Board, name: str, estimate: float | None) -> None:
        self.board, self.name, self.estimate = board, name, estimate
        self.started, self.ended, self.message = time.monotonic(), 0.0, ""
        self.spoke = False

    def report(self, message: str) -> None:
        """Say what the stage does now; safe from any thread."""
        if message != self.message:
            self.message = message
            self.board.changed(self)

    def done(self, message: str = "done") -> None:
        """The stage is over."""
        self.ended = time.monotonic()
        self.message = message
        self.board.changed(self)

    @property
    def elapsed(self) -> float:
        """Seconds since the start, up to the end."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def remaining(self) -> str:
        """What is known about the time left, for people."""
        if self.ended or not self.estimate:
            return ""
        left = self.estimate - self.elapsed
        if left > 0:
            return f"about {console.seconds(max(left, 1))} left"
        return f"longer than the estimated {console.seconds(self.estimate)}"


class Board:
    """All stages of a run. Use as a context manager around the work."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._live: Any = None
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def stage(self, name: str, estimate: float | None = None) -> Stage:
        """Start a stage."""
        stage = Stage(self, name, estimate)
        self.stages.append(stage)
        return stage

    def __enter__(self) -> Self:
        if console.err().is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._table, console=console.err(), refresh_per_second=8, transient=True)
            self._live.start()
        else:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._live:
            self._live.stop()
        for stage in self.stages:
            if self._live and stage.ended and stage.elapsed >= BRIEF:
                console.say(f"  {stage.name}: {stage.message} ({console.seconds(stage.elapsed)})")

    def changed(self, stage: Stage) -> None:
        """Called by a stage: a log gets a line, a terminal is redrawn by its own clock."""
        if self._live or (stage.ended and not stage.spoke and stage.elapsed < BRIEF):
            return
        stage.spoke = True
        took = f" ({console.seconds(stage.elapsed)})" if stage.ended else ""
        hint = f" - {stage.remaining}" if stage.remaining else ""
        self._line(f"{stage.name}: {stage.message}{took}{hint}")

    def _line(self, text: str) -> None:
        with self._lock:
            self._last = time.monotonic()
            console.say(f"[{time.monotonic() - self.started:7.1f} s] {text}")

    def _beat(self) -> None:
        while not self._stop.wait(1):
            running = [stage for stage in self.stages if not stage.ended]
            if running and time.monotonic() - self._last > HEARTBEAT:
                for stage in running:
                    hint = f", {stage.remaining}" if stage.remaining else ""
                    self._line(f"{stage.name}: still {stage.message or 'at work'}{hint}")

    def _table(self) -> Any:
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        for stage in list(self.stages):
            mark: Any = Text("✓", style="green") if stage.ended else _spinner(stage, Spinner)
            table.add_row(
                mark, stage.name, Text(stage.message, style="dim"), console.seconds(stage.elapsed), stage.remaining
            )
        return table


def _spinner(stage: Stage, kind: Any) -> Any:
    """One spinner a stage: a new one at every frame would stand still."""
    if not hasattr(stage, "spinner"):
        stage.spinner = kind("dots")  # type: ignore[attr-defined]
    return stage.spinner  # type: ignore[attr-defined]
