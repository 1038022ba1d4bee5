"""Where a service is reached on the host, as URLs by the role of the port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.catalog import Service

#: Kinds whose ports speak HTTP.
HTTP_KINDS = {"service", "consul", "kong", "vault", "prometheus", "grafana", "elasticsearch", "kibana", "alertmanager"}
SCHEMES = {"postgres": "postgresql", "redis": "redis", "rabbitmq": "amqp"}
#: What the data servers' schemes become with `nexus:tlsData`; PostgreSQL's is one for both.
ENCRYPTED = {"redis": {"redis": "rediss"}, "rabbitmq": {"amqp": "amqps", "http": "https"}}


def of(entry: Service, container: Mapping[str, Any]) -> dict[str, str]:
    """Addresses that a container, as the engine describes it, has on the host."""
    published = {}
    for mappings in ((container.get("NetworkSettings") or {}).get("Ports") or {}).values():
        for mapping in mappings or []:
            published[int(mapping["HostPort"])] = mapping["HostIp"]
    return {
        role: url(entry.kind, role, published[port], port) for role, port in entry.ports.items() if port in published
    }


def url(kind: str, role: str, host: str, port: int) -> str:
    """One address; where a port is on all of this machine's, that is `localhost`."""
    return f"{scheme(kind, role)}://{'localhost' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104


def scheme(kind: str, role: str) -> str:
    """The scheme of a port."""
    if role.endswith("tls"):
        return "https"
    return "http" if kind in HTTP_KINDS or role == "management" else SCHEMES.get(kind, "tcp")


def encrypted(kind: str, plain: Mapping[str, str]) -> dict[str, str]:
    """The addresses of a server where data servers take encrypted connections alone."""
    schemes = ENCRYPTED.get(kind, {})
    parts = {role: address.split(":", 1) for role, address in plain.items()}
    return {role: f"{schemes.get(name, name)}:{rest}" for role, (name, rest) in parts.items()}
