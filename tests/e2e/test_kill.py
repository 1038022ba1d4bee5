"""A killed `up` loses nothing: the next one ends healthy, with nothing orphaned."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import time

import pytest

from tests.e2e.environment import CORE, HELPERS, ROOT, Environment

pytestmark = pytest.mark.e2e
LOG = logging.getLogger(__name__)

#: An `up` takes about this long with everything present; the kill falls at a random moment of it.
SECONDS = 30.0
#: Seconds in which one command recovers, on a machine that does nothing else.
RECOVERED = 60.0
KILLS = int(os.environ.get("NEXUS_TEST_KILLS", "1"))


def killed(environment: Environment, who: str) -> float:
    """Start an `up`, kill it at a random moment, and return after how many seconds."""
    after = random.uniform(0.5, SECONDS)
    process = subprocess.Popen(
        [str(ROOT / "nexus"), "up", environment.stack],
        cwd=ROOT,
        env=environment.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    if process.poll() is None:
        (os.kill if who == "the command" else os.killpg)(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return after


@pytest.mark.parametrize("who", ["the command", "its whole process group"])
def test_up_after_a_kill_ends_healthy_with_nothing_orphaned(empty: Environment, who: str) -> None:
    for number in range(KILLS):
        moments = [killed(empty, who) for _ in range(1 + number % 2)]  # every other time a kill meets what one left
        told = f"killed after {moments} s"
        began = time.monotonic()
        done = empty.nexus("up", "--lock-timeout", "120")
        took, busy = time.monotonic() - began, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert done.returncode == 0, f"{told}: {done.stdout}{done.stderr}"
        LOG.info("%s, recovered in %.1f s", told, took)
        assert took <= RECOVERED * busy, f"{told}: recovered in {took:.0f} s"
        assert empty.status()["healthy"] == len(CORE), told
        assert empty.ready().status_code == 200, told
        assert len(empty.containers()) == len(CORE) + len(HELPERS), told
        assert empty.changes("--refresh") == {}, told
        assert empty.nexus("down", "--yes").returncode == 0, told
        assert empty.leftovers() == [], told
