"""Who holds the host ports that a stack wants. A port held by the stack's own container is fine."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components._exposure import exposure
from components._labels import STACK
from ops.errors import BAD_INPUT, Failure
from ops.inputs import Inputs

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class Wanted:
    """A host port that a service publishes, and the setting that changes it."""

    address: str
    port: int
    service: str
    role: str

    @property
    def setting(self) -> str:
        """What to change for another port."""
        return f"{self.service}.{'port' if self.role == 'main' else f'extra_ports.{self.role}'}"


def wanted(inputs: Inputs) -> list[Wanted]:
    """All host ports of the stack; a swarm's services keep most of theirs to themselves."""
    settings = inputs.settings
    public, private = str(settings.bind), str(getattr(settings, "admin_bind", settings.bind))
    every = [
        Wanted(public if role.startswith("proxy") else private, port, service.name, role)
        for service in inputs.services
        for role, port in service.ports.items()
    ]
    if settings.engine == "containers":
        return every
    return [item for item in every if exposure(item.service, item.address) != "internal"]


def taken(address: str, port: int) -> bool:
    """Whether something listens there. Connections that are closing do not count, as for a server that restarts."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def holder(port: int) -> str:
    """The process that listens on a port, for people."""
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    break
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {connection.pid}, user {process.username()})"
    except psutil.Error:
        pass
    return "a process of another user (`ss -ltnp` as root names it)"


def published(client: DockerClient, stack: str) -> dict[int, tuple[str, str]]:
    """Host ports of running containers, and of the stack's that are being started: port to (name, stack or empty)."""
    found = {}
    for item in client.api.containers(all=True):
        owner = (item["Names"][0].lstrip("/"), (item.get("Labels") or {}).get(STACK, ""))
        starting = item["State"] == "created" and owner[1] == stack
        found |= dict.fromkeys(_starting(client, item) if starting else _running(item), owner)
    return found


def _running(item: Mapping[str, Any]) -> list[int]:
    return [mapping["PublicPort"] for mapping in item.get("Ports") or [] if mapping.get("PublicPort")]


def _starting(client: DockerClient, item: Mapping[str, Any]) -> list[int]:
    """The engine holds the ports before it lists them; a killed run may have left a container at that moment."""
    from docker.errors import NotFound

    with suppress(NotFound):
        bindings = client.api.inspect_container(item["Id"])["HostConfig"].get("PortBindings") or {}
        return [int(one["HostPort"]) for outer in bindings.values() for one in outer or [] if one.get("HostPort")]
    return []


def conflicts(inputs: Inputs, containers: Mapping[int, tuple[str, str]]) -> list[tuple[Wanted, str]]:
    """Each port that somebody else holds, with who it is."""
    found = []
    for item in wanted(inputs):
        if item.port in containers:
            name, stack = containers[item.port]
            if stack != inputs.stack:
                found.append((item, f"container {name}" + (f" of stack {stack}" if stack else "")))
        elif taken(item.address, item.port):
            found.append((item, holder(item.port)))
    return found


def failure(inputs: Inputs, found: Iterable[tuple[Wanted, str]]) -> Failure:
    """The failure that names every port, who holds it, and which setting to change."""
    from infra.settings import file_of

    found = list(found)
    first = found[0][0]
    return Failure(
        f"{'a port is' if len(found) == 1 else f'{len(found)} ports are'} taken by another process",
        "\n".join(f"{item.address}:{item.port} ({item.setting}) is held by {who}" for item, who in found),
        f"stop it, or choose other ports in {file_of(inputs.stack)}: nexus:portOffset for all, "
        f"or nexus:services: {{{first.service}: {{port: ...}}}}",
        BAD_INPUT,
    )
