"""The wiring of an application service: its identity, what it is connected to, its entry in Consul and its routes."""

from __future__ import annotations

from typing import Any

import pulumi

from components._consul_rules import policy_name
from components.consul import Consul
from components.identity import BrokerAccess, Identity, IdentityArgs, IdentitySpec
from components.migrations import Migrations
from components.pgbouncer import Pgbouncer
from components.rabbitmq import Rabbitmq
from components.registration import Registration, RegistrationSpec
from components.service import Links, Service, ServiceArgs, ServiceSpec
from components.vault import Vault
from infra import entry as entries
from infra.platform import Platform
from infra.wiring import gateway, secrets
from infra.wiring.certificates import POOL, authority, checked
from infra.wiring.data import MIGRATIONS, NO_HISTORY, redis_of

AUTH, AI = "auth", "ai"


def service(platform: Platform, entry: entries.Service) -> Service:
    """An application service of the project's own, or any image that honours its contract."""
    spec = ServiceSpec(
        **platform.shape(entry),
        replicas=entry.replicas,
        alone=entry.scale.most == 1,
        port=platform.port(entry, "http"),
        public_url=platform.public_url,
        role=entry.role,
        settings=role_settings(platform, entry),
        links=links(platform, entry),
        health_path=entry.health.path,
        ready_path=entry.health.ready_path,
    )
    runtime = platform.runtime(entry.image)
    if "postgres" in entry.needs and entry.history != NO_HISTORY:
        runtime["image"] = platform.find(MIGRATIONS, Migrations).done.after(runtime["image"])
    args = ServiceArgs(**runtime, secret_id=identify(platform, entry).secret_id, authority=authority(platform, entry))
    running = Service(entry.name, spec, args)
    announce(platform, entry, running)
    return running


def identify(platform: Platform, entry: entries.Service) -> Identity:
    """What Vault lends the service under its name, and keeps for it alone."""
    needs, vault = entry.needs, platform.find("vault", Vault)
    spec = IdentitySpec(
        service=entry.name,
        policies=(AUTH,) if entry.role == AUTH else (),
        database_owner=entry.store if "postgres" in needs else None,
        broker=broker(entry),
        consul_policies=(policy_name(entry.name),),
        encrypts=entry.encrypts,
        signs=entry.role == AUTH,
        generation=platform.rotation("identities"),
    )
    args = IdentityArgs(engines=secrets.engines(platform), entries=kept(platform, entry), store=vault.running.data)
    name = f"{entry.name}-identity"
    return Identity(name, spec, args, pulumi.ResourceOptions(providers=[platform.vault_provider]))


def kept(platform: Platform, entry: entries.Service) -> dict[str, pulumi.Input[dict[str, str]]]:
    """The secrets that Vault keeps for the service alone."""
    found: dict[str, pulumi.Input[dict[str, str]]] = {}
    if "redis" in entry.needs:
        login = redis_of(platform, entry).connections[entry.name]
        found["redis"] = login.password.apply(lambda password: {"username": login.user, "password": password})
    if entry.role == AI:
        found["upstream"] = {"api_key": platform.settings.ai.key.get_secret_value()}
    if entry.role == AUTH:
        found["seed"] = secrets.accounts(platform).seed
    return found


def broker(entry: entries.Service) -> BrokerAccess | None:
    """What a service may do at RabbitMQ: send, if it sends or answers; read its own queues, if it has any."""
    if "rabbitmq" not in entry.needs:
        return None
    return BrokerAccess(
        vhost="nexus",
        write=r"^(events|events\.dead)$",
        read=rf"^{entry.name}(\.dead)?$" if entry.consumes else "^$",
    )


def links(platform: Platform, entry: entries.Service) -> Links:
    """Where a service finds what it needs."""
    ai, needs, check = platform.settings.ai, entry.needs, checked(platform, entry)
    found: dict[str, Any] = {
        "vault": {"address": platform.find("vault", Vault).internal},
        "consul": {"address": f"http://{platform.find('consul', Consul).internal}"},
    }
    if "postgres" in needs:
        pool = platform.find(POOL, Pgbouncer)
        found["postgres"] = {"host": pool.host, "port": pool.port, "database": entry.store, **check}
    if "redis" in needs:
        login = redis_of(platform, entry).connections[entry.name]
        found["redis"] = {"host": login.host, "port": login.port, **check}
    if "rabbitmq" in needs:
        queues = platform.find("rabbitmq", Rabbitmq).administrator
        queue = entry.name if entry.consumes else ""
        found["rabbitmq"] = {
            **{"host": queues.host, "port": queues.port, "vhost": queues.vhost, "queue": queue},
            **check,
        }
    if entry.role == AI and ai.url:
        found["ai"] = {"url": ai.url, "model": ai.model}
    return Links(**found)


def role_settings(platform: Platform, entry: entries.Service) -> dict[str, Any]:
    """The settings of its role: those of the entry, and for the identity provider the environment's roles."""
    if entry.role != AUTH:
        return entry.settings
    roles = {role: list(included) for role, included in platform.settings.roles.items()}
    return {"path": entry.routes[0].path if entry.routes else "", "roles": roles, **entry.settings}


def announce(platform: Platform, entry: entries.Service, running: Service) -> None:
    """List a service in Consul and publish its routes; apart from the service, which need not wait for either."""
    Registration(
        f"{entry.name}-discovery",
        RegistrationSpec(
            stack=platform.stack,
            health_path=entry.health.path,
            interval=entry.health.interval,
            timeout=entry.health.timeout,
        ),
        running.endpoint,
        platform.find("consul", Consul).running.data,
        pulumi.ResourceOptions(providers=[platform.consul_provider]),
    )
    if entry.routes:
        gateway.publish(platform, entry, running.endpoint)
