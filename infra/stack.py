"""The wiring: from settings and catalogue to components. Providers are made here; nothing else knows all parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pulumi
import pulumi_consul
import pulumi_kong

from components import service as services
from components._connections import Endpoint
from components.consul import Consul, ConsulArgs, ConsulSpec
from components.image import Image, ImageSpec
from components.kong import Kong, KongArgs, KongSpec
from components.network import Network
from components.postgres import Database, Postgres, PostgresSpec
from components.publication import Publication, PublicationSpec, Route
from components.redis import Redis, RedisSpec
from components.registration import Registration, RegistrationSpec
from components.workload import ContainerEngine, Engine, Port, ServerArgs
from infra import catalog, images, settings
from infra.catalog import Catalog, Service
from infra.errors import ConfigError

MONITOR_IMAGE = "consul-esm"


@dataclass
class Platform:
    """One environment while it is being declared: what later parts need of earlier ones."""

    stack: str
    settings: settings.Settings
    catalog: Catalog
    engine: Engine = field(default_factory=ContainerEngine)
    made: dict[str, pulumi.ComponentResource] = field(default_factory=dict)
    _images: dict[str, Image] = field(default_factory=dict)

    @cached_property
    def network(self) -> Network:
        """The stack's network."""
        return Network("network", self.stack)

    def image(self, name: str) -> Image:
        """An image by its name in images.yaml or by reference, declared once."""
        if name not in self._images:
            self._images[name] = Image(name.replace("/", "-"), self.image_spec(name))
        return self._images[name]

    def image_spec(self, name: str) -> ImageSpec:
        """What an image is in this run: pulled or built, an original or a stand-in."""
        if name not in images.load():
            return ImageSpec(reference=name)
        source = self.settings.source
        reference = images.reference(name, source, self.settings.registry)
        return ImageSpec(reference=reference, stand_in=images.is_stand_in(name, source))

    def runtime(self, service: Service) -> dict[str, Any]:
        """What every server component is made from (``ServerArgs``)."""
        return {"image": self.image(service.image).id, "network": self.network.id, "engine": self.engine}

    def port(self, service: Service, container: str, role: str = "main") -> Port:
        """A host port of a service, leading to the port of that name in the contract of its kind."""
        bind = self.settings.bind if role.startswith("proxy") else self.settings.admin_bind
        return Port(container=images.contract(service.kind).ports[container], host=service.ports[role], bind=str(bind))

    @cached_property
    def consul_provider(self) -> pulumi.ProviderResource:
        """What is registered in Consul is registered once Consul answers."""
        registry = self.made["consul"]
        assert isinstance(registry, Consul)
        return pulumi_consul.Provider("consul", address=registry.address)

    @cached_property
    def kong_provider(self) -> pulumi.ProviderResource:
        """What is configured in Kong is configured once Kong answers."""
        gateway = self.made["kong"]
        assert isinstance(gateway, Kong)
        return pulumi_kong.Provider("kong", kong_admin_uri=gateway.admin_url)

    def store_of(self, name: str) -> pulumi.Resource | None:
        """The volume in which a server keeps its data."""
        server = self.made[name]
        assert isinstance(server, Postgres | Consul)
        return server.running.data

    def needing(self, name: str) -> list[Service]:
        """The enabled services that need ``name``."""
        return [service for service in self.catalog.enabled if name in service.needs]


def postgres(platform: Platform, entry: Service) -> Postgres:
    """PostgreSQL with a database for each service that needs it."""
    databases = tuple(Database(name=database(s), owner=database(s)) for s in platform.needing(entry.name))
    spec = PostgresSpec(
        stack=platform.stack,
        contract=images.contract("postgres"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "sql"),
        databases=databases,
    )
    return Postgres(entry.name, spec, ServerArgs(**platform.runtime(entry)))


def redis(platform: Platform, entry: Service) -> Redis:
    """Redis with a user for each service that needs it."""
    spec = RedisSpec(
        stack=platform.stack,
        contract=images.contract("redis"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "redis"),
        users=tuple(service.name for service in platform.needing(entry.name)),
    )
    return Redis(entry.name, spec, ServerArgs(**platform.runtime(entry)))


def consul(platform: Platform, entry: Service) -> Consul:
    """Consul and its monitor."""
    spec = ConsulSpec(
        stack=platform.stack,
        contract=images.contract("consul"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "http"),
        monitor=images.contract(MONITOR_IMAGE),
        monitor_stand_in=platform.image_spec(MONITOR_IMAGE).stand_in,
    )
    args = ConsulArgs(**platform.runtime(entry), monitor_image=platform.image(MONITOR_IMAGE).id)
    return Consul(entry.name, spec, args)


def kong(platform: Platform, entry: Service) -> Kong:
    """The gateway, with its database in PostgreSQL."""
    spec = KongSpec(
        stack=platform.stack,
        contract=images.contract("kong"),
        name=entry.name,
        stand_in=platform.image_spec(entry.image).stand_in,
        memory_mib=entry.memory,
        admin=platform.port(entry, "admin"),
        proxy=platform.port(entry, "proxy", "proxy"),
        proxy_tls=platform.port(entry, "proxy-tls", "proxy_tls"),
    )
    store = platform.made["postgres"]
    assert isinstance(store, Postgres)
    args = KongArgs(
        **platform.runtime(entry),
        database=store.connections[database(entry)],
    )
    return Kong(entry.name, spec, args)


def service(platform: Platform, entry: Service) -> services.Service:
    """An application service, connected to what its entry says it needs, listed in Consul, published at the gateway."""
    made = platform.made
    store, cache = (made[need] if need in entry.needs else None for need in ("postgres", "redis"))
    spec = services.ServiceSpec(
        stack=platform.stack,
        contract=images.contract("service"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "http"),
        health_path=entry.health.path,
        ready_path=entry.health.ready_path,
    )
    args = services.ServiceArgs(
        **platform.runtime(entry),
        postgres=store.connections[database(entry)] if isinstance(store, Postgres) else None,
        redis=cache.connections[entry.name] if isinstance(cache, Redis) else None,
    )
    running = services.Service(entry.name, spec, args)
    announce(platform, entry, running.endpoint)
    return running


def announce(platform: Platform, entry: Service, endpoint: Endpoint) -> None:
    """List a service in Consul and publish its routes; apart from the service, which need not wait for either."""
    check = {"health_path": entry.health.path, "interval": entry.health.interval, "timeout": entry.health.timeout}
    Registration(
        f"{entry.name}-discovery",
        RegistrationSpec(stack=platform.stack, **check),
        endpoint,
        platform.store_of("consul"),
        pulumi.ResourceOptions(providers=[platform.consul_provider]),
    )
    if entry.routes:
        routes = tuple(Route(path=route.path, strip_path=route.strip_path) for route in entry.routes)
        Publication(
            f"{entry.name}-routes",
            PublicationSpec(stack=platform.stack, routes=routes, **check),
            endpoint,
            platform.store_of("postgres"),
            pulumi.ResourceOptions(providers=[platform.kong_provider]),
        )


#: What builds each kind, in the order of declaration: servers first, then what is registered with them.
BUILDERS: Mapping[str, Callable[[Platform, Service], pulumi.ComponentResource]] = {
    "postgres": postgres,
    "redis": redis,
    "consul": consul,
    "kong": kong,
    "service": service,
}


def database(entry: Service) -> str:
    """The database (and its owner's name) of a service."""
    return entry.database or entry.name.replace("-", "_")


def deploy() -> None:
    """Declare the whole environment of the current stack; raises ConfigError before any resource is declared."""
    stack = pulumi.get_stack()
    chosen = settings.from_pulumi(stack)
    platform = Platform(stack=stack, settings=chosen, catalog=catalog.load(chosen, stack))
    for entry in ordered(platform.catalog):
        platform.made[entry.name] = BUILDERS[entry.kind](platform, entry)
    pulumi.export("services", {entry.name: str(entry.port) for entry in platform.catalog.enabled})


def ordered(chosen: Catalog) -> list[Service]:
    """The enabled entries in the order of BUILDERS; raises ConfigError for a kind that has no component yet."""
    kinds = list(BUILDERS)
    for entry in chosen.enabled:
        if entry.kind not in BUILDERS:
            raise ConfigError(
                catalog.FILE_NAME, f"{entry.name}.kind", entry.kind, "has no component yet", f"Disable {entry.name}."
            )
    return sorted(chosen.enabled, key=lambda entry: kinds.index(entry.kind))
