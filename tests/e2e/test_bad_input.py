"""Bad input ends with a clear message and the documented exit code, before anything is touched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.environment import ROOT, Environment

pytestmark = pytest.mark.e2e
BAD_INPUT, MACHINE, LOCKED = 2, 3, 4


def refused(environment: Environment, code: int, *parts: str, verb: str = "up") -> str:
    done = environment.nexus(verb, timeout=120)
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    for part in parts:
        assert part in text, f"{part!r} not in: {text}"
    assert "Traceback" not in text
    assert environment.leftovers() == []
    return text


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"colour": "red"}, ["nexus:colour", "no such setting"]),
        ({"services": {"redis": {"memory": 8}}}, ["redis.memory", "at least 32 MiB"]),
        ({"services": {"redis": {"port": 1100}}}, ["redis.port", "is the port of postgres.port already"]),
        ({"services": {"redis": {"port": 99999}}}, ["services.redis.port", "65535"]),
        ({"services": {"redis": {"enabled": False}}}, ["kong.needs", "redis", "is not enabled"]),
        ({"services": {"rediss": {"memory": 64}}}, ["rediss", "is not in the catalogue"]),
        ({"services": {"nexus-backend": {"image": "No Image"}}}, ["nexus-backend.image", "malformed image reference"]),
    ],
)
def test_a_wrong_setting_is_refused(empty: Environment, settings: dict, parts: list[str]) -> None:
    empty.configure(**settings)
    refused(empty, BAD_INPUT, empty.settings_file.name, *parts)
    assert not list((empty.home / "state").rglob("*.json"))


def test_a_stack_without_a_settings_file_is_refused(empty: Environment) -> None:
    empty.settings_file.unlink()
    refused(empty, BAD_INPUT, empty.settings_file.name, "dev")


def test_a_port_held_by_another_process_is_refused_with_who_holds_it(empty: Environment) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", empty.offset + 1200))
        holder.listen()
        refused(empty, BAD_INPUT, str(empty.offset + 1200), str(os.getpid()), "redis")


def test_an_engine_that_is_down_is_said_with_what_to_do(empty: Environment) -> None:
    environment = {**empty.variables, "DOCKER_HOST": f"unix://{empty.home}/no.sock"}
    done = subprocess.run(
        [str(ROOT / "nexus"), "up", empty.stack], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == MACHINE
    assert "no.sock" in done.stdout + done.stderr and "what to do" in done.stdout + done.stderr


def test_a_wrong_passphrase_is_said_and_nothing_is_lost(environment: Environment) -> None:
    kept = environment.home / "passphrase"
    right = kept.read_text()
    kept.write_text("another")
    try:
        done = environment.nexus("up")
    finally:
        kept.write_text(right)
    assert done.returncode == BAD_INPUT, done.stdout + done.stderr
    assert "passphrase" in done.stdout + done.stderr
    assert environment.changes() == {}


def test_a_lock_of_a_live_run_is_waited_for_and_a_dead_ones_is_cleared(environment: Environment) -> None:
    locks = environment.home / "state" / ".pulumi" / "locks" / "organization" / "nexus" / environment.stack
    locks.mkdir(parents=True, exist_ok=True)
    lock = locks / "11111111-2222-3333-4444-555555555555.json"

    def held_by(pid: int) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        lock.write_text(
            json.dumps({"pid": pid, "username": "root", "hostname": socket.gethostname(), "timestamp": now})
        )

    with subprocess.Popen(["sleep", "300"]) as other:
        held_by(other.pid)
        done = environment.nexus("up", "--lock-timeout", "2")
        assert done.returncode == LOCKED, done.stdout + done.stderr
        assert str(other.pid) in done.stdout + done.stderr
        assert lock.exists(), "a live holder's lock is never cleared"
        other.kill()
    assert environment.nexus("up", "--lock-timeout", "5").returncode == 0
    assert not Path(lock).exists()
