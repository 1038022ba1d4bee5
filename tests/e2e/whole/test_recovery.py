"""Containers are killed and hung, services and helpers, and each is well again by itself and alone."""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable

import pytest
from docker.models.containers import Container

from ops import inputs, status
from tests.e2e.whole.platform import Platform, eventually
from tests.hanging import hang, hangs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]
#: How many containers, drawn anew in each run; all of them with a number as high as theirs (39).
HARMED = int(os.environ.get("NEXUS_TEST_HARMED", "9"))
#: Seconds until a container is well again on a machine that does nothing else: of 95 in 100, and of all.
KILLED, HUNG = (30, 45), (45, 45)
#: Containers that are harmed at the same time; the healer restarts no more at once.
TOGETHER = 4
#: These are told to go on by their own health check before the healer would restart them.
RESUMED = {"healer", "gateway-agent"}


def kill(container: Container) -> None:
    """As if its first process had crashed: ``docker kill`` would end the engine's own restart policy, too."""
    container.reload()
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)


def said(line: str) -> None:
    """A line of the table, to be read with ``pytest -s``, or when the test fails."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Ward:
    """Harms containers of a platform and watches them recover."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.prefix = platform, f"nexus-{platform.stack}-"
        self.chosen = inputs.load(platform.stack)

    def names(self) -> list[str]:
        """Every container that runs all the time."""
        running = [c.name for c in self.platform.containers() if c.status == "running"]
        return sorted(name.removeprefix(self.prefix) for name in running if name)

    def batches(self) -> list[list[str]]:
        """Those to harm, a few at a time; the healer by itself, as it heals others."""
        others = [name for name in self.names() if name != "healer"]
        others = random.sample(others, min(HARMED - 1, len(others)))
        count = math.ceil(len(others) / TOGETHER)
        return [["healer"], *(others[first::count] for first in range(count))]

    def well(self, names: set[str]) -> set[str]:
        """Those that run, answer their check, and of which, for services, Consul and gateway say so too."""
        there = {name: self.platform.container(name) for name in names}
        there = {name: one for name, one in there.items() if self._answers(one)}
        if not there:
            return set()
        rows = {row.name: row.well for row in status.collect(self.chosen)}
        return {name for name, one in there.items() if rows.get(one.labels["nexus.service"], True)}

    def _answers(self, container: Container) -> bool:
        health = status.health(container.attrs, self.platform.engine)
        return health == status.HEALTHY and not hangs(container)

    def recover(self, names: list[str], harm: Callable[[Container], None], within: float) -> dict[str, float]:
        """Seconds until each of ``names`` is well after ``harm``, and nothing else was started anew."""
        eventually(lambda: len(self.platform.well()) == 32, 90)
        before, began, took = self.platform.started(), dict[str, float](), dict[str, float]()
        for name in names:
            began[name] = time.monotonic()
            harm(self.platform.container(name))
        end = time.monotonic() + 2 * within  # a late one is a number in the table, too
        while took.keys() != set(names) and time.monotonic() < end:
            for name in self.well(set(names) - took.keys()):
                took[name] = time.monotonic() - began[name]
            time.sleep(0.5)
        after = self.platform.started()
        assert {name.removeprefix(self.prefix) for name in after if after[name] != before.get(name)} <= set(names)
        for name in names:
            if harm is kill or name not in RESUMED:
                assert after[self.prefix + name] != before[self.prefix + name], f"{name} was not started anew"
            said(f"{name:24} {took.get(name, math.inf):6.1f} s   load {os.getloadavg()[0]:.1f}")
        return {name: took.get(name, math.inf) for name in names}


@pytest.mark.parametrize(("harm", "limits"), [(kill, KILLED), (hang, HUNG)], ids=["killed", "hung"])
def test_a_container_is_well_again_by_itself_and_no_other_is_restarted(
    platform: Platform, harm: Callable[[Container], None], limits: tuple[int, int]
) -> None:
    ward, took, busy = Ward(platform), dict[str, float](), 1.0
    for batch in ward.batches():
        took |= ward.recover(batch, harm, limits[1])
        busy = max(busy, os.getloadavg()[0] / (os.cpu_count() or 1))
    times = sorted(took.values())
    usual, longest = times[math.ceil(0.95 * len(times)) - 1], times[-1]
    said(f"{len(times)} containers: median {times[len(times) // 2]:.1f} s, p95 {usual:.1f} s, longest {longest:.1f} s")
    assert len(ward.names()) >= 39 and len(times) == min(HARMED, len(ward.names()))
    assert usual <= limits[0] * busy and longest <= limits[1] * busy, took
