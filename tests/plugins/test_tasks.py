"""The gate of a Swarm service, on a real engine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.types import (
    ContainerSpec,
    EndpointSpec,
    Healthcheck,
    RestartPolicy,
    ServiceMode,
    TaskTemplate,
    UpdateConfig,
)

from ops import swarm

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("importable")]
SECOND = 10**9
#: Healthy as soon as asked; the command decides whether it lives.
LIVES, DIES = ["sleep", "600"], ["sh", "-c", "echo no licence; exit 3"]


@pytest.fixture(scope="module", autouse=True)
def node(unswarmed: None, client: docker.DockerClient) -> None:
    if not swarm.look(client).active:
        swarm.initialise(client, swarm.ALONE)


class Service:
    """A service of two tasks that is updated as the components update theirs."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.api, self.image, self.name = client.api, image, f"xnexus-{uuid.uuid4().hex[:8]}"

    def spec(self, version: str, command: list[str]) -> dict[str, Any]:
        health = Healthcheck(test=["CMD", "true"], interval=SECOND // 2, timeout=SECOND, retries=3)
        inside = ContainerSpec(self.image, command=command, init=True, healthcheck=health)
        return {
            "task_template": TaskTemplate(inside, restart_policy=RestartPolicy("any", delay=SECOND // 5)),
            "name": self.name,
            "labels": {"nexus.version": version},
            "mode": ServiceMode("replicated", 2),
            "endpoint_spec": EndpointSpec(mode="dnsrr"),
            "update_config": UpdateConfig(failure_action="rollback", monitor=SECOND, order="start-first"),
            "rollback_config": UpdateConfig(failure_action="pause", monitor=SECOND, order="start-first"),
        }

    def create(self, version: str, command: list[str]) -> None:
        self.api.create_service(**self.spec(version, command))

    def update(self, version: str, command: list[str]) -> None:
        index = self.api.inspect_service(self.name)["Version"]["Index"]
        self.api.update_service(self.name, index, **self.spec(version, command))

    def containers(self) -> list[dict[str, Any]]:
        return self.api.containers(all=True, filters={"label": f"com.docker.swarm.service.name={self.name}"})


@pytest.fixture
def service(client: docker.DockerClient, image: str) -> Iterator[Service]:
    made = Service(client, image)
    yield made
    client.api.remove_service(made.name)
    end = time.monotonic() + 60
    while made.containers() and time.monotonic() < end:
        time.sleep(0.2)


def test_the_command_runs_in_a_task_once_all_of_them_run(service: Service) -> None:
    from execute import execute

    service.create("1", LIVES)
    execute(service.name, ["sh", "-c", "cat > /tmp/input"], "the input", 60, version="1")
    states = {item["State"] for item in service.containers()}
    assert (len(service.containers()), states) == (2, {"running"})
    written = [service.api.exec_create(item["Id"], ["cat", "/tmp/input"])["Id"] for item in service.containers()]
    assert b"the input" in b"".join(service.api.exec_start(one) for one in written)


def test_after_an_update_a_task_of_the_new_version_is_asked(service: Service) -> None:
    from execute import execute

    service.create("1", LIVES)
    execute(service.name, ["true"], "", 60, version="1")
    old = {item["Id"] for item in service.containers()}
    service.update("2", ["sleep", "601"])
    execute(service.name, ["true"], "", 60, version="2")
    running = {item["Id"] for item in service.containers() if item["State"] == "running"}
    assert len(running - old) == 2


def test_an_update_that_was_taken_back_fails_with_the_tasks_last_words_and_a_later_good_one_does_not(
    service: Service,
) -> None:
    from execute import NotReadyError, execute

    service.create("1", LIVES)
    execute(service.name, ["true"], "", 60, version="1")
    service.update("2", DIES)
    with pytest.raises(NotReadyError) as failure:
        execute(service.name, ["true"], "", 60, version="2")
    assert "was taken back (rollback completed" in str(failure.value) and "no licence" in str(failure.value)
    execute(service.name, ["true"], "", 60, version="1")  # the one that runs is well, whatever was tried before


def test_tasks_that_fail_again_and_again_are_not_waited_for(service: Service) -> None:
    from execute import NotReadyError, execute

    service.create("1", DIES)
    begun = time.monotonic()
    with pytest.raises(NotReadyError, match="0 of 2 replicas") as failure:
        execute(service.name, ["true"], "", 120, version="1")
    assert "no licence" in str(failure.value) and time.monotonic() - begun < 60


def test_a_service_that_is_not_there_is_said_at_once(client: docker.DockerClient) -> None:
    from execute import NotReadyError, execute

    with pytest.raises(NotReadyError, match="service xnexus-none does not exist"):
        execute("xnexus-none", ["true"], "", 30, version="1")
