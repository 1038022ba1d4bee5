"""A swarm of several nodes, made with the verbs: three engines on this machine. Needs root, as engines do."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.types import (
    ContainerSpec,
    EndpointSpec,
    Healthcheck,
    Mount,
    NetworkAttachmentConfig,
    Placement,
    RestartPolicy,
    ServiceMode,
    TaskTemplate,
)

from components._naming import data_node
from infra import images
from ops import image_builder, swarm
from tests.e2e.engines import Machine, Machines

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
SECOND = 10**9
SERVE = (
    "import http.server as h, socket\n"
    "class A(h.BaseHTTPRequestHandler):\n"
    "    def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(socket.gethostname().encode())\n"
    "h.ThreadingHTTPServer(('', 8000), A).serve_forever()"
)
ASK = (
    "import socket, urllib.request as u\n"
    "for a in sorted({i[4][0] for i in socket.getaddrinfo('web', 8000)}):\n"
    "    print(u.urlopen(f'http://{a}:8000', timeout=5).read().decode())"
)


def nexus(machine: Machine, *arguments: str, token: str = "") -> str:
    """A verb at one of the machines."""
    done = subprocess.run(
        [str(ROOT / "nexus"), "swarm", *arguments],
        input=token, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "DOCKER_HOST": machine.socket}, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Machine]]:
    """Three engines, in no swarm yet."""
    made = Machines("nexus-e2e", tmp_path_factory.mktemp("nodes"))
    try:
        made.start()
        yield made.all
    finally:
        made.stop()


@pytest.fixture(scope="module")
def nodes(machines: list[Machine]) -> list[Machine]:
    """The three in one swarm."""
    first, *others = machines
    assert f"./nexus swarm join {first.address}" in nexus(first, "init", first.address)
    token = nexus(first, "token")
    for other in others:
        assert "joined" in nexus(other, "join", first.address, token=token)
    return machines


@pytest.fixture(scope="module")
def image(machines: list[Machine]) -> str:
    """Brought to every node, as the documentation says for images that were built here."""
    image_builder.ensure(["python"], "local", lambda _: None)
    reference = images.reference("python", "local")
    archive = machines[0].folder.parent / "image.tar"
    subprocess.run(["docker", "save", "--output", str(archive), reference], check=True)
    for machine in machines:
        with archive.open("rb") as stream:
            (loaded,) = machine.engine.images.load(stream)
    return loaded.id or ""


@pytest.fixture(scope="module")
def network(nodes: list[Machine]) -> str:
    """Not encrypted: that needs IPsec in this machine's kernel, where nothing would cross nodes without it."""
    return nodes[0].engine.networks.create("over", driver="overlay", attachable=True).id or ""


def create(node: Machine, name: str, image: str, network: str, replicas: int, **more: Any) -> None:
    """A service as the components declare theirs."""
    health = Healthcheck(test=["CMD", "true"], interval=SECOND, timeout=30 * SECOND, retries=3)  # on a busy machine too
    inside = ContainerSpec(
        image, command=["python3", "-c", SERVE], init=True, healthcheck=health, mounts=more.pop("mounts", None)
    )
    task = TaskTemplate(
        inside,
        networks=[NetworkAttachmentConfig(network, aliases=[name])],
        restart_policy=RestartPolicy("any", delay=SECOND),
        **more,
    )
    mode = ServiceMode("replicated", replicas)
    node.engine.api.create_service(task, name=name, mode=mode, endpoint_spec=EndpointSpec(mode="dnsrr"))


def places(node: Machine, service: str) -> dict[str, str]:
    """The nodes' names by the containers of the running tasks."""
    names = {one.id: one.attrs["Description"]["Hostname"] for one in node.engine.nodes.list()}
    tasks = node.engine.api.tasks(filters={"service": service, "desired-state": "running"})
    running = [task for task in tasks if task["Status"]["State"] == "running"]
    return {task["Status"]["ContainerStatus"]["ContainerID"]: names[task["NodeID"]] for task in running}


def inside(nodes: list[Machine], where: str, container: str, *command: str) -> str:
    machine = next(machine for machine in nodes if machine.name == where)
    return machine.engine.containers.get(container).exec_run(list(command)).output.decode()


def test_others_join_the_first_with_its_token(nodes: list[Machine]) -> None:
    first = nodes[0]
    assert swarm.look(first.engine).address == first.address
    eventually(lambda: nexus(first, "nodes").count("ready, active") == 3)
    shown = nexus(first, "nodes")
    assert [line.split()[:2] for line in sorted(shown.splitlines())] == [
        [nodes[0].name, "manager"],
        [nodes[1].name, "worker"],
        [nodes[2].name, "worker"],
    ]


def test_replicas_run_on_every_node_and_reach_each_other_by_name(
    nodes: list[Machine], image: str, network: str
) -> None:
    create(nodes[0], "web", image, network, 3)
    eventually(lambda: set(places(nodes[0], "web").values()) == {machine.name for machine in nodes})
    for container, where in places(nodes[0], "web").items():
        eventually(lambda c=container, w=where: answers(inside(nodes, w, c, "python3", "-c", ASK)) == 3)


def answers(text: str) -> int:
    """How many answered with their names; what is still starting is a traceback."""
    return 0 if "Traceback" in text else len(text.split())


def test_what_holds_data_stays_with_it_and_the_rest_leaves_a_node_that_is_drained(
    nodes: list[Machine], image: str, network: str
) -> None:
    first, second = nodes[0].engine, nodes[1]
    swarm.claim(first, "e2e", swarm.look(first).node, lambda _: None)
    constraint = Placement(constraints=[f"node.labels.{data_node('e2e')}==true"])
    mounts = [Mount("/data", "e2e-data", type="volume")]
    create(nodes[0], "store", image, network, 1, placement=constraint, mounts=mounts)
    eventually(lambda: list(places(nodes[0], "store").values()) == [nodes[0].name])
    (container,) = places(nodes[0], "store")
    inside(nodes, nodes[0].name, container, "sh", "-c", "echo written > /data/file")

    availability(nodes[0], second.name, "drain")
    eventually(lambda: second.name not in places(nodes[0], "web").values() and len(places(nodes[0], "web")) == 3)
    availability(nodes[0], nodes[0].name, "drain")
    eventually(lambda: set(places(nodes[0], "web").values()) == {nodes[2].name})
    assert places(nodes[0], "store") == {}, "it must not start elsewhere, with an empty volume"
    for machine in nodes:
        availability(nodes[0], machine.name, "active")
    eventually(lambda: list(places(nodes[0], "store").values()) == [nodes[0].name])
    (container,) = places(nodes[0], "store")
    assert inside(nodes, nodes[0].name, container, "cat", "/data/file") == "written\n"
    assert "keeps the data of e2e" in nexus(nodes[0], "nodes")


def availability(manager: Machine, name: str, wanted: str) -> None:
    (node,) = [one for one in manager.engine.nodes.list() if one.attrs["Description"]["Hostname"] == name]
    node.update({**node.attrs["Spec"], "Availability": wanted})


def test_a_worker_says_that_it_cannot_manage(nodes: list[Machine]) -> None:
    done = subprocess.run(
        [str(ROOT / "nexus"), "swarm", "token"], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "DOCKER_HOST": nodes[1].socket}, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 3 and "is a worker of a swarm, not a manager" in done.stderr
