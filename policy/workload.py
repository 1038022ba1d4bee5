"""Containers and services of a swarm, seen alike: what their rules ask of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy.model import UNKNOWN, Resource, Secret, bare

CONTAINER, SERVICE = "docker:index/container:Container", "docker:index/service:Service"
WORKLOADS = frozenset({CONTAINER, SERVICE})
#: The label that has the service's name in the catalogue (``components/_labels.py``).
LABEL = "nexus.service"
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of a container that can be reached by an address of the host."""

    container: int
    host: int
    address: str

    @property
    def public(self) -> bool:
        """Whether others than this machine reach it. An address that is not said is all of them."""
        return not (self.address.startswith("127.") or self.address in ("::1", "localhost"))


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What runs. ``memory`` in bytes and ``cpus`` are 0 where there is no limit; ``host_paths`` are mounted from the
    host; ``shared`` are the host's own namespaces and devices that it gets."""

    service: str
    image: Any
    environment: Mapping[str, Any]
    ports: tuple[Port, ...]
    memory: int
    cpus: float
    health: tuple[str, ...]
    read_only: bool
    drops: frozenset[str]
    adds: frozenset[str]
    no_new_privileges: bool | None
    user: str
    host_paths: tuple[str, ...]
    shared: tuple[str, ...]


def workload(resource: Resource) -> Workload:
    """A container or service as its rules see it."""
    return _container(resource) if resource.type == CONTAINER else _service(resource)


def _container(one: Resource) -> Workload:
    modes = {name: str(plain(one.get(f"{name}Mode"))) for name in ("network", "pid", "ipc", "userns")}
    return Workload(
        service=_label(one.get("labels")),
        image=bare(one.get("image", "")),
        environment=_pairs(one.get("envs")),
        ports=tuple(_port(port) for port in items(one.get("ports"))),
        memory=_number(one.get("memory")) * MIB,
        cpus=float(plain(one.get("cpus")) or 0),
        health=tuple(map(str, items(one.get("healthcheck.tests")))),
        read_only=plain(one.get("readOnly")) is True,
        drops=_names(one.get("capabilities.drops")),
        adds=_names(one.get("capabilities.adds")),
        no_new_privileges=bool(_names(one.get("securityOpts")) & {"NO-NEW-PRIVILEGES", "NO-NEW-PRIVILEGES:TRUE"}),
        user=str(plain(one.get("user")) or ""),
        host_paths=(
            *(str(path) for volume in items(one.get("volumes")) if (path := plain(volume.get("hostPath")))),
            *(_source(mount) for mount in items(one.get("mounts")) if _from_host(mount)),
        ),
        shared=(
            *(["privileged"] if plain(one.get("privileged")) else []),
            *(f"{name} of {mode}" for name, mode in modes.items() if mode == "host" or mode.startswith("container:")),
            *(f"device {plain(device.get('hostPath'))}" for device in items(one.get("devices"))),
        ),
    )


def _service(one: Resource) -> Workload:
    inside, limits = "taskSpec.containerSpec", "taskSpec.resources.limits"
    networks = [str(plain(network.get("id"))) for network in items(one.get("taskSpec.networksAdvanceds"))]
    mounts = items(one.get(f"{inside}.mounts"))
    return Workload(
        service=_label(one.get("labels")),
        image=bare(one.get(f"{inside}.image", "")),
        environment=bare(one.get(f"{inside}.env")) or {},
        ports=tuple(_published(port) for port in items(one.get("endpointSpec.ports"))),
        memory=_number(one.get(f"{limits}.memoryBytes")),
        cpus=_number(one.get(f"{limits}.nanoCpus")) / 1e9,
        health=tuple(map(str, items(one.get(f"{inside}.healthcheck.tests")))),
        read_only=plain(one.get(f"{inside}.readOnly")) is True,
        drops=_names(one.get(f"{inside}.capDrops")),
        adds=_names(one.get(f"{inside}.capAdds")),
        no_new_privileges=None,  # Swarm has no field for it (docs/swarm.md)
        user=str(plain(one.get(f"{inside}.user")) or ""),
        host_paths=tuple(_source(mount) for mount in mounts if _from_host(mount)),
        shared=tuple(f"network of {network}" for network in networks if network == "host"),
    )


def items(value: Any) -> list[Any]:
    """A list's entries; none of one that is not there or not known."""
    found = bare(value)
    return [bare(entry) for entry in found if bare(entry) is not UNKNOWN] if isinstance(found, list) else []


def plain(value: Any) -> Any:
    """A value that is known, or None."""
    found = bare(value)
    return None if found is UNKNOWN else found


def _number(value: Any) -> int:
    return int(plain(value) or 0)


def _names(value: Any) -> frozenset[str]:
    return frozenset(str(name).upper() for name in items(value))


def _pairs(value: Any) -> dict[str, Any]:
    """``NAME=value`` as a mapping; an entry that is secret as a whole stays so."""
    found = {}
    listed = bare(value)
    for entry in listed if isinstance(listed, list) else []:
        if (text := bare(entry)) is not UNKNOWN:
            name, _, content = str(text).partition("=")
            found[name] = Secret(content) if isinstance(entry, Secret) else content
    return found


def _label(labels: Any) -> str:
    return next((str(plain(each.get("value"))) for each in items(labels) if plain(each.get("label")) == LABEL), "")


def _port(port: Mapping[str, Any]) -> Port:
    return Port(
        container=_number(port.get("internal")),
        host=_number(port.get("external")),
        address=str(plain(port.get("ip")) or ""),
    )


def _published(port: Mapping[str, Any]) -> Port:
    """Swarm publishes on all addresses of a node."""
    return Port(container=_number(port.get("targetPort")), host=_number(port.get("publishedPort")), address="")


def _from_host(mount: Mapping[str, Any]) -> bool:
    """A bind, or a volume whose driver binds: the `local` driver takes any device."""
    kind = plain(mount.get("type"))
    return kind == "bind" or (kind == "volume" and _device(mount).startswith("/"))


def _source(mount: Mapping[str, Any]) -> str:
    return _device(mount) or str(plain(mount.get("source")) or "")


def _device(mount: Mapping[str, Any]) -> str:
    options = plain(mount.get("volumeOptions")) or {}
    driver = plain(options.get("driverOptions")) or {}
    return str(plain(driver.get("device")) or "")
