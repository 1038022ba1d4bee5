"""Watch the containers of one stack and restart those that are unhealthy, with back-off.

An engine restarts a container that ended, not one that hangs. This waits for the engine's events, so that it costs
nothing while all is well, and looks at every container once in a while in case an event was missed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from threading import Thread
from typing import Any

from services.healer.decide import BUSY, SETTLED, Patient, just_ended, needs_restart, note, restarted
from services.healer.engine import Engine
from services.heartbeat import STEP, Heartbeat

log = logging.getLogger("services.healer")

#: Seconds between two looks at everything; an event makes it look at once.
LOOK_EVERY = 30.0
#: Restarts of whatever containers at most, in as many seconds: many that are unhealthy at the same time are a sign of a
#: machine that is too busy to answer, which restarts make busier.
AT_MOST, WITHIN = 4, 10.0
#: Seconds a container gets to stop by itself: a hung one does not, and every second is one more it is away.
GRACE = 2


class Healer:
    """``look`` at everything, ``wait`` for what happens; ``run`` repeats both for ever."""

    def __init__(self, engine: Engine, stack: str, own: str, heart: Heartbeat) -> None:
        self._engine, self._label, self._own, self._heart = engine, f"nexus.stack={stack}", own, heart
        self._patients: defaultdict[str, Patient] = defaultdict(Patient)
        self._since = time.time()
        self._pause = LOOK_EVERY
        self._restarts: deque[float] = deque(maxlen=AT_MOST)

    def begin(self) -> None:
        """What had ended before anybody watched was ended on purpose, as far as can be known."""
        for container in self._containers():
            self._patients[container["Id"]].stopped_by_hand = container["State"]["Status"] == "exited"

    def look(self) -> None:
        """Look at every container of the stack but this one, and restart what needs it."""
        self._heart.beat()
        found, now, pauses = self._containers(), datetime.now(UTC), [LOOK_EVERY]
        for container in found:
            patient, state = self._patients[container["Id"]], container["State"]
            note(state, patient, time.monotonic())
            reason = needs_restart(state, patient, now, busy=os.getloadavg()[0] > BUSY * (os.cpu_count() or 1))
            rest = max(patient.not_before, self._not_before) - time.monotonic()
            if reason and rest <= 0:
                self._note_restart(container, reason, patient)
                Thread(target=self._restart, args=(container,), daemon=True).start()  # the next one is not kept waiting
            elif reason:
                pauses.append(rest)
            elif just_ended(state, now):
                pauses.append(SETTLED)
        for gone in self._patients.keys() - {container["Id"] for container in found}:
            del self._patients[gone]
        self._pause = min(pauses) + 0.1

    @property
    def _not_before(self) -> float:
        """When the next restart may be."""
        return self._restarts[0] + WITHIN if len(self._restarts) == AT_MOST else 0.0

    def _containers(self) -> list[Mapping[str, Any]]:
        found = self._engine.containers(self._label)
        return [c for c in found if c["Config"]["Labels"].get("nexus.service") != self._own]

    def _note_restart(self, container: Mapping[str, Any], reason: str, patient: Patient) -> None:
        clock = time.monotonic()
        restarted(patient, clock)
        self._restarts.append(clock)
        pause = patient.not_before - clock
        log.warning("restarting %s: %s; not again within %.0f s", name_of(container), reason, pause)

    def _restart(self, container: Mapping[str, Any]) -> None:
        try:
            self._engine.restart(container["Id"], GRACE)
        except (OSError, HTTPException) as error:
            log.warning("restarting %s failed: %s", name_of(container), error)

    def wait(self) -> None:
        """Return at the next event that matters, or when it is time to look again."""
        end = time.monotonic() + self._pause
        while (left := end - time.monotonic()) > 0:
            self._heart.beat()
            with contextlib.suppress(TimeoutError):
                for event in self._engine.events(self._label, self._since, min(left, STEP)):
                    self._since = event["timeNano"] / 1e9 + 1e-6
                    if event["Action"] == "stop":
                        self._patients[event["id"]].stopped_by_hand = True
                    else:
                        return

    def run(self) -> None:
        """Look and wait, for ever; an engine that is away is asked again."""
        watching = False
        while True:
            try:
                if not watching:
                    self.begin()
                    watching = True
                self.look()
                self.wait()
            except OSError as error:
                log.warning("the engine does not answer: %s", error)
                self._heart.sleep(1)


def name_of(container: Mapping[str, Any]) -> str:
    """A container's name, as people write it."""
    return container["Name"].lstrip("/")


def main() -> None:
    """Run until told to stop."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format='{"time":"%(asctime)s","level":"%(levelname)s","message":"%(message)s"}',
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Healer(Engine(), os.environ["NEXUS_STACK"], os.environ["NEXUS_SERVICE"], Heartbeat()).run()


if __name__ == "__main__":
    main()
