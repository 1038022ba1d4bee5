"""What the Docker engine holds of a stack, found by labels. Nothing here needs Pulumi or its state."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components._labels import SERVICE, STACK
from ops.errors import MACHINE, Failure

if TYPE_CHECKING:
    from docker import DockerClient

CONTAINER, NETWORK, VOLUME = "container", "network", "volume"


@dataclass(frozen=True)
class Object:
    """One container, network or volume; ``id`` is the engine's (a volume's is its name)."""

    kind: str
    id: str
    name: str
    service: str


@contextmanager
def connect(timeout: float = 15) -> Iterator[DockerClient]:
    """A client of the engine that DOCKER_HOST names; raises Failure when it does not answer within ``timeout`` s."""
    import docker
    from docker.errors import DockerException

    client = None
    try:
        client = docker.from_env(timeout=int(timeout))
        client.ping()
    except (DockerException, OSError) as error:
        if client:
            client.close()
        raise Failure(
            "the Docker engine does not answer",
            str(error).splitlines()[0][:300],
            "start it (systemctl start docker), or let `./nexus doctor` say what is missing",
            MACHINE,
        ) from None
    try:
        yield client
    finally:
        client.close()


def inventory(client: DockerClient, stack: str) -> list[Object]:
    """Every container (running or not), network and volume that carries the stack's label."""
    filters = {"label": f"{STACK}={stack}"}

    def of(kind: str, item: dict[str, Any], identity: str) -> Object:
        name = (item.get("Name") or item.get("Names", ["?"])[0]).lstrip("/")
        return Object(kind, identity, name, (item.get("Labels") or {}).get(SERVICE, ""))

    found = [of(CONTAINER, item, item["Id"]) for item in client.api.containers(all=True, filters=filters)]
    found += [of(NETWORK, item, item["Id"]) for item in client.api.networks(filters=filters)]
    volumes = client.api.volumes(filters=filters).get("Volumes") or []
    return found + [of(VOLUME, item, item["Name"]) for item in volumes]


def remove(client: DockerClient, item: Object) -> bool:
    """Remove one object whatever it does right now; False when it was gone already."""
    from docker.errors import NotFound

    try:
        if item.kind == CONTAINER:
            client.api.remove_container(item.id, force=True)
        elif item.kind == NETWORK:
            with suppress(NotFound):
                for container in client.api.inspect_network(item.id).get("Containers") or {}:
                    client.api.disconnect_container_from_network(container, item.id, force=True)
            client.api.remove_network(item.id)
        else:
            client.api.remove_volume(item.id, force=True)
    except NotFound:
        return False
    return True


def inspect(client: DockerClient, stack: str) -> list[dict[str, Any]]:
    """The engine's full description of every container of the stack; one that goes away meanwhile is left out."""
    from docker.errors import NotFound

    def one(identity: str) -> dict[str, Any] | None:
        with suppress(NotFound):
            return client.api.inspect_container(identity)
        return None

    listed = client.api.containers(all=True, filters={"label": f"{STACK}={stack}"})
    with ThreadPoolExecutor(8) as pool:
        return [found for found in pool.map(one, [item["Id"] for item in listed]) if found]


def last_words(client: DockerClient, name: str, lines: int = 12) -> list[str]:
    """The last log lines of a container; none when there is no such container or it keeps no log."""
    from docker.errors import DockerException

    with suppress(DockerException):
        return client.api.logs(name, tail=lines).decode(errors="replace").splitlines()
    return []
