"""A killed `up` loses nothing: the next one ends healthy, with nothing orphaned."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from tests.e2e.environment import ROOT, Environment

#: An `up` takes about this long with everything present; the kill falls at a random moment of it.
SECONDS = 14.0
KILLS = int(os.environ.get("NEXUS_TEST_KILLS", "3"))


@pytest.mark.parametrize("who", ["the command", "its whole process group"])
def test_up_after_a_kill_ends_healthy_with_nothing_orphaned(empty: Environment, who: str) -> None:
    for number in range(KILLS):
        after = random.uniform(1.0, SECONDS)
        process = subprocess.Popen(
            [str(ROOT / "nexus"), "up", empty.stack],
            cwd=ROOT,
            env=empty.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        time.sleep(after)
        killed = process.poll() is None
        if killed:
            (os.kill if who == "the command" else os.killpg)(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        if number % 2:
            continue  # every other time the next kill meets what the last one left
        done = empty.nexus("up", "--lock-timeout", "120")
        assert done.returncode == 0, f"killed after {after:.1f} s: {done.stdout}{done.stderr}"
        assert empty.status()["healthy"] == 5
        assert empty.ready().status_code == 200
        assert len(empty.containers()) == 6
        assert empty.changes("--refresh") == {}, f"killed after {after:.1f} s"
        assert empty.nexus("down", "--yes").returncode == 0
        assert empty.leftovers() == [], f"killed after {after:.1f} s"
    assert empty.nexus("down", "--yes").returncode in (0, 2)
    assert empty.leftovers() == []
