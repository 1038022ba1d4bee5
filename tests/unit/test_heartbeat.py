"""The heartbeat of programs that serve nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from infra import images
from services.heartbeat import SILENCE, STEP, Heartbeat

#: Beats once and then waits for what never comes, as a program does that hangs.
STUCK = """
import threading
from pathlib import Path
from services.heartbeat import Heartbeat

Heartbeat(Path({file!r}), hung=0.5).beat()
threading.Lock().acquire() and threading.Event().wait()
"""


def heard(file: Path) -> int:
    """How the health check ends that the contract has, with ``file`` as the heartbeat."""
    command = [part.replace("/tmp/alive", str(file)) for part in images.contract("healer").health]
    assert str(file) in command[-1]
    return subprocess.run([command[0], command[1], command[2].replace("kill -CONT 1", ":")], check=False).returncode


def test_who_was_heard_is_well_until_the_time_it_named(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    assert heard(file) != 0, "it was never heard"
    Heartbeat(file, hung=None).beat()
    assert heard(file) == 0
    assert time.time() + SILENCE - 2 <= int(file.read_text()) <= time.time() + SILENCE
    file.write_text(f"{int(time.time()) - 1}\n")
    assert heard(file) != 0


def test_who_waits_is_heard_meanwhile(tmp_path: Path, monkeypatch) -> None:
    slept: list[float] = []
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("services.heartbeat.time.sleep", slept.append)
    monkeypatch.setattr("services.heartbeat.time.monotonic", lambda: next(clock))
    beats = Heartbeat(tmp_path / "alive", hung=None)
    monkeypatch.setattr(beats, "beat", lambda: slept.append(0))
    beats.sleep(11)
    assert slept == [0, STEP, 0, 3]


def test_who_hangs_is_ended_and_its_log_says_where_it_was(tmp_path: Path) -> None:
    stuck = STUCK.format(file=str(tmp_path / "alive"))
    done = subprocess.run([sys.executable, "-c", stuck], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Timeout" in done.stderr and "wait" in done.stderr


def test_the_longest_step_of_a_program_that_waits_is_shorter_than_its_silence() -> None:
    assert STEP < SILENCE
