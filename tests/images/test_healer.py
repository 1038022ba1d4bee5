"""The healer: its rules as pure functions, and one round of each fault on the real engine."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import docker
import pytest

from infra import images
from services.healer import __main__ as healer
from services.healer.decide import FIRST_PAUSE, LAST_PAUSE, PATIENCE, Patient, needs_restart, note, restarted
from services.healer.engine import Engine, EngineError
from services.heartbeat import SILENCE, STEP, Heartbeat
from tests.hanging import hang, hangs

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STACK = f"t-healer-{uuid.uuid4().hex[:8]}"


def state(health: str, *, up_for: float = 1000, status: str = "running", code: int = 0, ended: float = 60) -> dict:
    started, finished = NOW - timedelta(seconds=up_for), NOW - timedelta(seconds=ended)
    return {
        "Status": status,
        "ExitCode": code,
        "Health": {"Status": health},
        "StartedAt": started.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        "FinishedAt": finished.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
    }


def test_a_healthy_or_a_starting_container_is_left_alone() -> None:
    for health in ("healthy", "starting"):
        assert needs_restart(state(health), Patient(), NOW) is None


def test_a_hung_container_is_restarted() -> None:
    assert "health check" in str(needs_restart(state("unhealthy"), Patient(), NOW))


def test_a_slow_starter_that_was_never_healthy_is_given_time() -> None:
    assert needs_restart(state("unhealthy", up_for=PATIENCE - 1), Patient(), NOW) is None
    assert needs_restart(state("unhealthy", up_for=PATIENCE + 1), Patient(), NOW)


def test_on_a_busy_machine_a_failing_check_is_no_reason_and_an_end_still_is() -> None:
    assert needs_restart(state("unhealthy"), Patient(), NOW, busy=True) is None
    assert needs_restart(state("unhealthy", status="exited", code=137), Patient(), NOW, busy=True)


def test_one_that_was_healthy_since_this_start_is_restarted_at_once() -> None:
    patient = Patient()
    note(state("healthy", up_for=10), patient, 0)
    assert needs_restart(state("unhealthy", up_for=10), patient, NOW)


def test_a_killed_container_is_started_and_one_stopped_by_hand_is_not() -> None:
    killed = state("unhealthy", status="exited", code=137)
    assert "ended with 137" in str(needs_restart(killed, Patient(), NOW))
    assert needs_restart(killed, Patient(stopped_by_hand=True), NOW) is None
    assert needs_restart(state("unhealthy", status="exited", code=0), Patient(), NOW) is None
    assert needs_restart(state("unhealthy", status="exited", code=137, ended=1), Patient(), NOW) is None


def test_pauses_double_up_to_ten_minutes_and_are_forgotten_after_five_good_minutes() -> None:
    patient, pauses = Patient(), []
    for _ in range(8):
        restarted(patient, 0)
        pauses.append(patient.not_before)
    assert pauses == [15, 30, 60, 120, 240, 480, 600, 600]
    assert pauses[0] == FIRST_PAUSE and pauses[-1] == LAST_PAUSE
    note(state("healthy"), patient, 1000)
    note(state("healthy"), patient, 1299)
    assert patient.restarts == 8
    note(state("healthy"), patient, 1300)
    assert patient.restarts == 0


def test_a_relapse_starts_the_five_minutes_again() -> None:
    patient = Patient(restarts=3)
    for health, clock in (("healthy", 0), ("unhealthy", 200), ("healthy", 201), ("healthy", 400)):
        note(state(health), patient, clock)
    assert patient.restarts == 3


class Ward:
    """An engine whose containers are all unhealthy; ``restarts`` are those it was asked for."""

    takes = 0.5  # seconds

    def __init__(self, beds: int) -> None:
        self.restarts: list[str] = []
        self._containers = [
            {"Id": f"{bed}", "Name": f"/{bed}", "Config": {"Labels": {}}, "State": state("unhealthy")}
            for bed in range(beds)
        ]

    def containers(self, label: str) -> list[Any]:
        return self._containers

    def restart(self, container: str, grace: int) -> None:
        time.sleep(self.takes)
        self.restarts.append(container)


def test_a_few_are_restarted_side_by_side_and_the_next_ones_later(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(healer, "BUSY", 1000)
    ward = Ward(healer.AT_MOST + 2)
    doctor = healer.Healer(ward, STACK, "healer", Heartbeat(tmp_path / "alive", hung=None))  # pyright: ignore
    began = time.monotonic()
    doctor.look()
    assert time.monotonic() - began < ward.takes, "none waits for another"
    until(lambda: len(ward.restarts) == healer.AT_MOST)
    doctor.look()
    time.sleep(2 * ward.takes)
    assert len(ward.restarts) == healer.AT_MOST, "a machine that is too busy to answer is not made busier"
    monkeypatch.setattr(healer, "WITHIN", 0.0)
    doctor.look()
    until(lambda: len(ward.restarts) == healer.AT_MOST + 2)
    assert len(set(ward.restarts)) == healer.AT_MOST + 2, "each once"


@pytest.fixture
def sick(image, tmp_path, monkeypatch):
    """A container that is healthy while its file is there, checked every second, and a healer that watches it."""
    monkeypatch.setattr(healer, "BUSY", 1000)  # the tests themselves keep the machine busy
    client = docker.from_env()
    check = {"test": ["CMD", "test", "-e", "/tmp/well"], "interval": 10**9, "timeout": 10**9, "retries": 1}
    container = client.containers.run(
        image("base"),
        ["sh", "-c", "touch /tmp/well; trap 'exit 0' TERM; while :; do sleep 0.2; done"],
        name=f"{STACK}-sick",
        labels={"nexus.stack": STACK, "nexus.service": "sick"},
        healthcheck=check,
        tmpfs={"/tmp": "mode=1777"},
        restart_policy={"Name": "unless-stopped"},
        detach=True,
    )
    try:
        watcher = healer.Healer(Engine(), STACK, "healer", Heartbeat(tmp_path / "alive", hung=None))
        threading.Thread(target=watcher.run, daemon=True).start()
        until(lambda: health(container) == "healthy")
        yield container
    finally:
        container.remove(force=True, v=True)
        client.close()


def health(container) -> str:
    container.reload()
    return container.attrs["State"]["Health"]["Status"] if container.status == "running" else container.status


def started(container) -> str:
    container.reload()
    return container.attrs["State"]["StartedAt"]


def until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not within its time"
        time.sleep(0.1)


def test_faults_on_the_real_engine(sick, tmp_path) -> None:
    before = started(sick)
    sick.exec_run(["rm", "/tmp/well"])
    until(lambda: started(sick) != before and health(sick) == "healthy")
    until(lambda: int((tmp_path / "alive").read_text() or 0) > time.time() + SILENCE - STEP - 1)
    before = started(sick)
    sick.kill()
    until(lambda: started(sick) != before and health(sick) == "healthy", 30)
    sick.stop(timeout=1)
    time.sleep(8)
    assert health(sick) == "exited", "stopped by hand is stopped"


def test_a_refusal_of_the_engine_is_an_error_with_its_words() -> None:
    with pytest.raises(EngineError, match="No such container"):
        Engine().restart(f"{STACK}-is-not-there", 1)


def test_the_exceptions_from_hardening_are_these_and_each_has_a_reason() -> None:
    rows = {name: dict(images.contract(name).exceptions) for name in images._contract_rows()}
    assert {name: set(found) for name, found in rows.items() if found} == {"healer": {"root", "socket"}}
    assert all(len(reason) > 20 for found in rows.values() for reason in found.values())


@pytest.mark.parametrize("helper", ["healer", "gateway-agent"])
def test_a_helper_that_was_stopped_goes_on_by_its_own_health_check(under, image, tmp_path, helper) -> None:
    """Nobody else restarts the healer. Neither finds what it talks to here, and is heard all the same."""
    files = {"vault-secret-id": "none"}
    env = {
        "NEXUS_STACK": STACK,
        "NEXUS_SERVICE": helper,
        "NEXUS_VAULT_ADDRESS": "http://nobody:8200",
        "NEXUS_VAULT_SECRET_ID_FILE": "/run/secrets/vault-secret-id",
        "NEXUS_KONG_ADDRESS": "http://nobody:8001",
    }
    running, check = under.run(helper, image("service"), files=files, env=env), images.contract(helper).health
    under.answers(running, check)
    hang(running)
    assert under.ask(running, check)[0] == 0, "it was heard a moment ago"
    time.sleep(SILENCE + 1)
    assert hangs(running)
    assert under.ask(running, check)[0] == 1
    until(lambda: not hangs(running), 5)
    under.answers(running, check, within=5)
    running.reload()
    assert running.attrs["RestartCount"] == 0 and running.status == "running"
