"""A stack in a swarm of one node: up, looked at, updated under load, broken, gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.environment import CORE, Environment
from tests.e2e.load import Load

pytestmark = pytest.mark.e2e
REPLICAS = 3


class Stack(Environment):
    """An environment that the swarm runs: the core alone, with replicas of the backend."""

    def choose(self, **backend: object) -> None:
        self.configure(engine="swarm", services={"nexus-backend": {"replicas": REPLICAS, **backend}})

    def tasks(self, service: str) -> set[str]:
        """The service's running tasks."""
        wanted = {"service": f"nexus-{self.stack}-{service}", "desired-state": "running"}
        found = self.engine.api.tasks(filters=wanted)
        return {task["ID"] for task in found if task["Status"]["State"] == "running"}

    def of_the_swarm(self) -> list[str]:
        """Whatever a swarm keeps under the stack's label."""
        label = {"label": f"nexus.stack={self.stack}"}
        found = [f"service {one.name}" for one in self.engine.services.list(filters=label)]
        return found + [f"secret {one.name}" for one in self.engine.secrets.list(filters=label)]


@pytest.fixture(scope="module")
def stack(unswarmed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A healthy stack in a swarm of one node."""
    made = Stack("e2e-swarm", tmp_path_factory.mktemp("swarm"), only=CORE)
    made.remove()
    made.choose()
    try:
        made.up()
        yield made
    finally:
        made.remove()
        made.engine.close()


def test_every_replica_runs_and_answers_through_the_gateway(stack: Stack) -> None:
    status = stack.status()
    assert {row["name"]: row["well"] for row in status["services"]} == dict.fromkeys(CORE, True), status
    assert len(stack.tasks("nexus-backend")) == REPLICAS
    assert stack.ready().status_code == 200


def test_no_port_but_the_administered_ones_is_published_and_those_on_loopback_alone(stack: Stack) -> None:
    published = {}
    for container in stack.containers():
        for mappings in container.attrs["NetworkSettings"]["Ports"].values():
            published |= {mapping["HostPort"]: (container.name, mapping["HostIp"]) for mapping in mappings or []}
    assert {name for name, _ in published.values()} == {
        f"nexus-{stack.stack}-{name}-relay" for name in ("consul", "kong", "vault")
    }
    assert {address for _, address in published.values()} == {"127.0.0.1"}


def test_a_task_is_hardened_and_its_passwords_are_files_in_memory(stack: Stack) -> None:
    (found,) = [one for one in stack.containers() if one.name.startswith(f"nexus-{stack.stack}-redis.")]
    host = found.attrs["HostConfig"]
    assert (host["CapDrop"], host["ReadonlyRootfs"]) == (["ALL"], True) and host["Memory"] > 0
    kinds = found.exec_run(["sh", "-c", "grep /run/secrets /proc/mounts"]).output.decode().split()
    assert "tmpfs" in kinds
    modes = found.exec_run(["sh", "-c", "stat -c %a-%u /run/secrets/*"]).output.decode().split()
    assert set(modes) == {"400-999"}


def test_a_second_up_and_a_preview_change_nothing(stack: Stack) -> None:
    before = stack.tasks("nexus-backend") | stack.tasks("postgres")
    assert stack.changes("--refresh") == {}
    stack.up()
    assert stack.tasks("nexus-backend") | stack.tasks("postgres") == before


def test_an_update_of_all_replicas_refuses_no_request(stack: Stack) -> None:
    before, others = stack.tasks("nexus-backend"), stack.tasks("postgres") | stack.tasks("redis")
    stack.choose(memory=224)
    with Load(stack) as load:
        stack.up()
        time.sleep(2)
    assert load.answers.keys() == {"200"}, load.answers
    assert len(stack.tasks("nexus-backend")) == REPLICAS and stack.tasks("nexus-backend").isdisjoint(before)
    assert stack.tasks("postgres") | stack.tasks("redis") == others, "nothing else was restarted"


def test_a_version_that_does_not_work_is_taken_back_and_the_update_fails(stack: Stack) -> None:
    stack.choose(memory=224, image="relay")  # without arguments it ends at once
    with Load(stack) as load:
        done = stack.nexus("up", timeout=600)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "was taken back (rollback completed" in done.stderr and "IndexError" in done.stderr
    assert load.answers.keys() == {"200"}, load.answers
    assert len(stack.tasks("nexus-backend")) == REPLICAS
    assert "nexus-backend-ready" in str(stack.changes()), "what was not reached is still to be done"
    stack.choose(memory=224)
    stack.up()
    assert stack.changes("--refresh") == {}


def test_a_service_removed_by_hand_comes_back(stack: Stack) -> None:
    stack.engine.services.get(f"nexus-{stack.stack}-nexus-backend").remove()
    stack.up()
    assert len(stack.tasks("nexus-backend")) == REPLICAS


def test_down_leaves_nothing(stack: Stack) -> None:
    done = stack.nexus("down", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.leftovers() + stack.of_the_swarm() == []
    labels = [node.attrs["Spec"].get("Labels", {}) for node in stack.engine.nodes.list()]
    assert not any(f"nexus.data.{stack.stack}" in found for found in labels)
