"""The wiring of discovery: where services find each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components import _consul_rules as rules
from components._connections import Endpoint
from components.consul import Consul, ConsulArgs, ConsulSpec
from infra import images
from infra.entry import Service
from infra.platform import Platform

MONITOR_IMAGE = "consul-esm"
#: Who else has a token of Consul: Vault, which makes those of services, and who reads metrics and the whole catalogue.
ISSUER, READER = "vault", "reader"


def consul(platform: Platform, entry: Service) -> Consul:
    """Consul and its monitor."""
    spec = ConsulSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
        generation=platform.rotation("consul"),
        grants={ISSUER: rules.ISSUER, READER: rules.READER},
        monitor=images.contract(MONITOR_IMAGE),
        monitor_stand_in=platform.image_spec(MONITOR_IMAGE).stand_in,
    )
    args = ConsulArgs(**platform.runtime(entry.image), monitor_image=platform.runnable(MONITOR_IMAGE))
    return Consul(entry.name, spec, args)


#: How each server is asked by the monitor: the port's name in its contract, and the path, or none for one that only
#: takes connections. Consul lists itself.
ASKED: Mapping[str, tuple[str, str]] = {
    "postgres": ("sql", ""),
    "redis": ("redis", ""),
    "rabbitmq": ("amqp", ""),
    "vault": ("http", "/v1/sys/health"),
    "kong": ("status", "/status"),
    "prometheus": ("http", "/-/healthy"),
    "alertmanager": ("http", "/-/healthy"),
    "grafana": ("http", "/api/health"),
    "elasticsearch": ("http", "/_cluster/health?local=true"),
    "logstash": ("api", "/"),
    "kibana": ("http", "/api/status"),
}
#: Where encrypted connections have a port of their own.
ENCRYPTED: Mapping[str, str] = {"rabbitmq": "amqps"}


def announce(platform: Platform, entry: Service) -> None:
    """List a server in Consul, where it is found and watched as the services are."""
    from components.registration import Registration, RegistrationSpec  # noqa: PLC0415

    port, path = ASKED[entry.kind]
    if platform.settings.tls_data:
        port = ENCRYPTED.get(entry.kind, port)
    check: dict[str, Any] = {"scheme": "http", "health_path": path} if path else {"scheme": "tcp"}
    Registration(
        f"{entry.name}-discovery",
        RegistrationSpec(stack=platform.stack, identity=False, **check),
        Endpoint(name=entry.name, host=entry.name, port=images.contract(entry.kind).ports[port]),
        platform.find("consul", Consul).running.data,
        pulumi.ResourceOptions(providers=[platform.consul_provider]),
    )
