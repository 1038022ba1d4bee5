"""What the Docker engine holds of a stack, found by labels. Nothing here needs Pulumi or its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from components._labels import SERVICE, STACK
from ops.errors import MACHINE, Failure

if TYPE_CHECKING:
    from docker import DockerClient

SERVICE_KIND, CONTAINER, NETWORK, SECRET, VOLUME = "service", "container", "network", "secret", "volume"
#: The order in which they can be removed: what uses others comes first, what holds data last.
ORDER = (SERVICE_KIND, CONTAINER, NETWORK, SECRET, VOLUME)
#: The label by which Swarm marks a task's container: it belongs to its service, and comes and goes with it.
TASK = "com.docker.swarm.task"
#: Seconds in which the containers of a removed service are gone, and a network is let go by those that used it.
LINGER = 45.0


@dataclass(frozen=True)
class Object:
    """A service, container, network, secret or volume; ``id`` is the engine's (a volume's is its name)."""

    kind: str
    id: str
    name: str
    service: str


@contextmanager
def connect(timeout: float = 15, streams: int = 10) -> Iterator[DockerClient]:
    """A client of the engine that DOCKER_HOST names, for ``streams`` connections at once.

    Raises Failure when it does not answer within ``timeout`` s.
    """
    import docker
    from docker.errors import DockerException

    client = None
    try:
        client = docker.from_env(timeout=int(timeout), max_pool_size=streams)
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
    """Everything that carries the stack's label: containers, running or not, but for those of the swarm's tasks."""
    filters = {"label": f"{STACK}={stack}"}

    def of(kind: str, item: dict[str, Any], identity: str) -> Object:
        spec = item.get("Spec") or item
        name = (spec.get("Name") or item.get("Names", ["?"])[0]).lstrip("/")
        return Object(kind, identity, name, (spec.get("Labels") or {}).get(SERVICE, ""))

    listed = client.api.containers(all=True, filters=filters)
    found = [of(SERVICE_KIND, item, item["ID"]) for item in swarm_list(client, "services", filters)]
    found += [of(CONTAINER, item, item["Id"]) for item in listed if TASK not in (item.get("Labels") or {})]
    found += [of(NETWORK, item, item["Id"]) for item in client.api.networks(filters=filters)]
    found += [of(SECRET, item, item["ID"]) for item in swarm_list(client, "secrets", filters)]
    volumes = client.api.volumes(filters=filters).get("Volumes") or []
    return found + [of(VOLUME, item, item["Name"]) for item in volumes]


def swarm_list(client: DockerClient, what: str, filters: dict[str, str]) -> list[dict[str, Any]]:
    """The swarm's ``services``, ``tasks`` or ``secrets``; none where the engine manages no swarm."""
    from docker.errors import APIError

    try:
        return getattr(client.api, what)(filters=filters)
    except APIError as error:
        if error.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return []
        raise


def remove(client: DockerClient, item: Object) -> bool:
    """Remove one object whatever it does right now; False when it was gone already."""
    from docker.errors import NotFound

    removers: dict[str, Callable[[DockerClient, Object], object]] = {
        SERVICE_KIND: _remove_service,
        CONTAINER: lambda client, item: client.api.remove_container(item.id, force=True),
        NETWORK: _remove_network,
        SECRET: lambda client, item: client.api.remove_secret(item.id),
        VOLUME: lambda client, item: client.api.remove_volume(item.id, force=True),
    }
    try:
        removers[item.kind](client, item)
    except NotFound:
        return False
    return True


def _remove_service(client: DockerClient, item: Object) -> None:
    """With its containers here, which would keep networks and volumes in use."""
    client.api.remove_service(item.id)
    label = {"label": f"{TASK}.name", "name": f"^/{item.name}\\."}
    _patiently(lambda: not client.api.containers(all=True, filters=label))


def _remove_network(client: DockerClient, item: Object) -> None:
    from docker.errors import APIError, NotFound

    def removed() -> bool:
        try:
            client.api.remove_network(item.id)
        except APIError as error:
            if isinstance(error, NotFound) or "active endpoints" not in str(error.explanation):
                raise
            return False
        return True

    with suppress(NotFound):
        for container in client.api.inspect_network(item.id).get("Containers") or {}:
            with suppress(APIError):  # an overlay's own endpoint is not a container
                client.api.disconnect_container_from_network(container, item.id, force=True)
    if not _patiently(removed):
        client.api.remove_network(item.id)


def _patiently(done: Callable[[], bool]) -> bool:
    """Whether ``done`` became true in time: the swarm does things some seconds after it was told to."""
    deadline = time.monotonic() + LINGER
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.2)
    return False


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


def of_service(found: Iterable[dict[str, Any]], service: str) -> list[dict[str, Any]]:
    """Those of the inspected containers that are of a service."""
    return [one for one in found if (one["Config"].get("Labels") or {}).get(SERVICE) == service]


def last_words(client: DockerClient, name: str, lines: int = 12) -> list[str]:
    """The last log lines of a container; none when there is no such container or it keeps no log."""
    from docker.errors import DockerException

    with suppress(DockerException):
        return client.api.logs(name, tail=lines).decode(errors="replace").splitlines()
    return []
