"""The wiring of an application service: connected to what it needs, listed in Consul, published at the gateway."""

from __future__ import annotations

import pulumi

from components._connections import Endpoint
from components.consul import Consul
from components.postgres import Postgres
from components.redis import Redis
from components.registration import Registration, RegistrationSpec
from components.service import Service, ServiceArgs, ServiceSpec
from infra import entry as entries
from infra import images
from infra.platform import Platform
from infra.wiring.gateway import publish


def service(platform: Platform, entry: entries.Service) -> Service:
    """An application service of the project's own, or any image that honours its contract."""
    spec = ServiceSpec(
        stack=platform.stack,
        contract=images.contract("service"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "http"),
        health_path=entry.health.path,
        ready_path=entry.health.ready_path,
    )
    needs = entry.needs
    args = ServiceArgs(
        **platform.runtime(entry.image),
        postgres=platform.find("postgres", Postgres).connections[entry.store] if "postgres" in needs else None,
        redis=platform.find("redis", Redis).connections[entry.name] if "redis" in needs else None,
    )
    running = Service(entry.name, spec, args)
    announce(platform, entry, running.endpoint)
    return running


def announce(platform: Platform, entry: entries.Service, endpoint: Endpoint) -> None:
    """List a service in Consul and publish its routes; apart from the service, which need not wait for either."""
    check = {"health_path": entry.health.path, "interval": entry.health.interval, "timeout": entry.health.timeout}
    Registration(
        f"{entry.name}-discovery",
        RegistrationSpec(stack=platform.stack, **check),
        endpoint,
        platform.find("consul", Consul).running.data,
        pulumi.ResourceOptions(providers=[platform.consul_provider]),
    )
    if entry.routes:
        publish(platform, entry, endpoint)
