"""How each kind of the catalogue is wired: a function a kind, from the platform so far and an entry to a component."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pulumi

from infra.catalog import Service
from infra.platform import Platform
from infra.wiring import application, data, discovery, gateway, observability, secrets

#: What builds each kind, in the order of declaration: servers first, then what is registered with them.
BUILDERS: Mapping[str, Callable[[Platform, Service], pulumi.ComponentResource]] = {
    "vault": secrets.vault,
    "postgres": data.postgres,
    "redis": data.redis,
    "rabbitmq": data.rabbitmq,
    "consul": discovery.consul,
    "elasticsearch": observability.elasticsearch,
    "alertmanager": observability.alertmanager,
    "prometheus": observability.prometheus,
    "grafana": observability.grafana,
    "logstash": observability.logstash,
    "kibana": observability.kibana,
    "kong": gateway.kong,
    "service": application.service,
}
