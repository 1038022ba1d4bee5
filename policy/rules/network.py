"""Who can reach what: only the gateway's proxy is for others than this machine."""

from __future__ import annotations

from collections.abc import Iterator

from policy.model import Resource, Rule
from policy.workload import WORKLOADS, workload

#: The ports, inside their containers, that may be reached from elsewhere: the gateway's proxy, plain and by TLS.
PUBLIC_PORTS = {"kong": frozenset({8000, 8443})}


def private_ports(resource: Resource) -> Iterator[str]:
    """Databases, admin APIs and the services themselves are on loopback, or not on the host at all."""
    one = workload(resource)
    for port in one.ports:
        if port.public and port.container not in PUBLIC_PORTS.get(one.service, ()):
            where = port.address or "all addresses"
            yield f"port {port.host} (of {one.service or resource.name}, {port.container} inside) is open on {where}"


RULES = (
    Rule(
        name="private-ports",
        description="Only the gateway's proxy ports may be reached from other machines.",
        remedy="Leave `nexus:adminBind` in Pulumi.STACK.yaml at 127.0.0.1; reach it through the gateway or a tunnel.",
        severity="critical",
        types=WORKLOADS,
        check=private_ports,
    ),
)
