"""What `nexus` does about the swarm of an engine: look whether there is one, make one, say where a stack's data is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components._labels import KIND, SERVICE, STACK, STAND_IN
from components._naming import data_node
from ops import objects
from ops.errors import MACHINE, Failure

if TYPE_CHECKING:
    from docker import DockerClient

Report = Callable[[str], None]
#: Where a swarm of one node is reached: nowhere from outside. `nexus swarm init ADDRESS` opens it to other nodes.
ALONE = "127.0.0.1"
PORT = 2377


@dataclass(frozen=True)
class Swarm:
    """What an engine says of its swarm: the state of its own node, whether it manages, and how many nodes there are."""

    state: str
    manager: bool
    node: str
    address: str
    nodes: int

    @property
    def active(self) -> bool:
        """Whether the engine is a node of a swarm."""
        return self.state == "active"


def look(client: DockerClient) -> Swarm:
    """The swarm of this engine."""
    found = client.info()["Swarm"]
    return Swarm(
        state=found["LocalNodeState"],
        manager=bool(found.get("ControlAvailable")),
        node=found.get("NodeID", ""),
        address=found.get("NodeAddr", ""),
        nodes=found.get("Nodes", 1) or 1,
    )


def ensure(stack: str, report: Report) -> None:
    """A swarm that this engine manages, with the node that keeps the stack's data known. Raises Failure."""
    with objects.connect() as client:
        found = look(client)
        if not found.active:
            initialise(client, ALONE)
            report("made a swarm of one node")
            found = look(client)
        if not found.manager:
            raise worker(found)
        claim(client, stack, found.node, report)


def initialise(client: DockerClient, address: str) -> None:
    """Make this engine the first node of a swarm at ``address``. Raises Failure."""
    from docker.errors import APIError

    options: dict[str, Any] = {"advertise_addr": address, "listen_addr": f"{address}:{PORT}"}
    try:
        client.swarm.init(**options)
    except APIError as error:
        raise Failure(
            f"no swarm could be made at {address}",
            error.explanation or str(error),
            "name an address of this machine that the other nodes reach: `./nexus swarm init ADDRESS`",
            MACHINE,
        ) from None


def worker(found: Swarm) -> Failure:
    """The failure of an engine that is a node of a swarm and may not manage it."""
    return Failure(
        "the Docker engine is a worker of a swarm, not a manager",
        f"its node is {found.node or 'unknown'}, state {found.state}; services are made by managers",
        "run this at a manager (or DOCKER_HOST=ssh://MANAGER ./nexus ...); `docker node promote` makes one of a worker",
        MACHINE,
    )


def claim(client: DockerClient, stack: str, own: str, report: Report) -> None:
    """Mark the node that has the stack's volumes: the one whose engine makes them. Raises Failure if it is another."""
    label = data_node(stack)
    nodes = {node.id: node for node in client.nodes.list()}
    marked = [node for node in nodes.values() if label in node.attrs["Spec"].get("Labels", {})]
    if any(node.id != own for node in marked):
        names = ", ".join(node.attrs["Description"]["Hostname"] for node in marked if node.id != own)
        raise Failure(
            f"the data of {stack} is on another node of the swarm: {names}",
            f"its label {label} says so; volumes are made by the engine that `nexus` talks to, which is another one",
            "run this there; docs/swarm.md says how data moves to another node",
            MACHINE,
        )
    if not marked:
        set_label(nodes[own], label, "true")
        report(f"this node keeps the data of {stack}")


def release(client: DockerClient, stack: str) -> None:
    """Forget where the data of a stack was."""
    if not look(client).manager:
        return
    for node in client.nodes.list():
        if data_node(stack) in node.attrs["Spec"].get("Labels", {}):
            set_label(node, data_node(stack), None)


def set_label(node: Any, label: str, value: str | None) -> None:
    """Set or remove a node's label."""
    spec = node.attrs["Spec"]
    labels = {key: text for key, text in spec.get("Labels", {}).items() if key != label}
    node.update({**spec, "Labels": labels if value is None else {**labels, label: value}})


@dataclass(frozen=True)
class Running:
    """One service of the swarm: how many tasks run (and so are healthy) of those wanted, and what became of others."""

    id: str
    name: str
    service: str
    kind: str
    stand_in: bool
    image: str
    wanted: int
    running: int
    starting: int
    since: str | None
    ports: tuple[int, ...]

    @property
    def healthy(self) -> bool:
        """Whether all replicas run."""
        return self.running >= self.wanted


def services(client: DockerClient, stack: str) -> list[Running]:
    """The stack's services; none where the engine manages no swarm."""
    listed = objects.swarm_list(client, "services", {"label": f"{STACK}={stack}"})
    tasks = objects.swarm_list(client, "tasks", {"label": f"{STACK}={stack}"}) if listed else []
    return [_running(item, [task for task in tasks if task["ServiceID"] == item["ID"]]) for item in listed]


def _running(item: Mapping[str, Any], tasks: list[dict[str, Any]]) -> Running:
    spec = item["Spec"]
    wanted = [task for task in tasks if task["DesiredState"] == "running"]
    up = [task for task in wanted if task["Status"]["State"] == "running"]
    labels = spec.get("Labels") or {}
    return Running(
        id=item["ID"],
        name=spec["Name"],
        service=labels.get(SERVICE, ""),
        kind=labels.get(KIND, ""),
        stand_in=labels.get(STAND_IN) == "true",
        image=spec["TaskTemplate"]["ContainerSpec"]["Image"],
        wanted=spec["Mode"].get("Replicated", {}).get("Replicas", 1),
        running=len(up),
        starting=len(wanted) - len(up),
        since=min((task["Status"]["Timestamp"] for task in up), default=None),
        ports=tuple(port["PublishedPort"] for port in spec.get("EndpointSpec", {}).get("Ports") or []),
    )
