"""The wiring of what holds the services' data."""

from __future__ import annotations

from components.migrations import Migrations, MigrationsArgs, MigrationsSpec, Target
from components.pgbouncer import Pgbouncer, PgbouncerArgs, PgbouncerSpec
from components.postgres import MIGRATOR, POOLER, RESERVED_CONNECTIONS, Database, Postgres, PostgresSpec
from components.rabbitmq import Consumer, Rabbitmq, RabbitmqSpec
from components.redis import RATE_LIMITING, RATE_LIMITING_KEYS, Redis, RedisSpec, User
from components.workload import ServerArgs
from infra import images
from infra.catalog import Service
from infra.platform import Platform
from infra.wiring.certificates import CACHE, POOL, tls

#: A helper that the entry brings along, and what runs the services' programs.
MIGRATIONS, PROGRAMS = "migrations", "service"
#: Of the cache: answers of services, each gone by itself after seconds; more of them push out the oldest.
CACHE_MEMORY_MIB = 128
#: What an entry says that keeps its schema itself.
NO_HISTORY = "none"


def postgres(platform: Platform, entry: Service) -> Postgres:
    """PostgreSQL with a database for each service that needs it, the pooler before it, and the schemas in it.

    Vault makes the logins of services; a program of another kind logs in as the owner of its database.
    """
    users = platform.needing(entry.name)
    spec = PostgresSpec(
        **platform.shape(entry),
        port=platform.port(entry, "sql"),
        generation=platform.rotation("postgres"),
        databases=tuple(Database(name=s.store, owner=s.store, login=s.kind != "service") for s in users),
    )
    server = Postgres(entry.name, spec, ServerArgs(**platform.runtime(entry.image), tls=tls(platform, entry.name)))
    platform.made[POOL] = _pooler(platform, server, spec.max_connections - RESERVED_CONNECTIONS)
    if with_schema := [service for service in users if service.kind == "service" and service.history != NO_HISTORY]:
        platform.made[MIGRATIONS] = _migrations(platform, server, with_schema)
    return server


def _pooler(platform: Platform, server: Postgres, connections: int) -> Pgbouncer:
    spec = PgbouncerSpec(stack=platform.stack, contract=images.contract(POOL), name=POOL, connections=connections)
    return Pgbouncer(
        POOL, spec, PgbouncerArgs(**platform.runtime(POOL), tls=tls(platform, POOL), login=server.logins[POOLER])
    )


def _migrations(platform: Platform, server: Postgres, services: list[Service]) -> Migrations:
    spec = MigrationsSpec(
        stack=platform.stack,
        contract=images.contract(PROGRAMS),
        name=MIGRATIONS,
        targets=tuple(
            Target(database=s.store, owner=s.store, history=s.history, acknowledged=s.acknowledged) for s in services
        ),
    )
    args = MigrationsArgs(
        image=platform.image(PROGRAMS).id,
        network=platform.network.id,
        login=server.logins[MIGRATOR],
        ready=server.running.ready.after(server.running.ready.containerId),
    )
    return Migrations(MIGRATIONS, spec, args)


def redis(platform: Platform, entry: Service) -> Redis:
    """Redis for what must be kept, and a second one for what may be forgotten; the gateway counts in the first."""
    users = [service for service in platform.needing(entry.name) if service.kind == "service"]
    kept = [User(name=service.name) for service in users if service.redis == "session"]
    gateways = [service for service in platform.catalog.enabled if service.kind == "kong"]
    kept += [User(name=g.name, prefix=RATE_LIMITING_KEYS, commands=RATE_LIMITING) for g in gateways]
    cached = tuple(User(name=service.name) for service in users if service.redis == "cache")
    shape = {
        "stack": platform.stack,
        "contract": images.contract("redis"),
        "cpus": entry.cpus,
        "generation": platform.rotation("redis"),
    }
    runtime = platform.runtime(entry.image)
    cache = RedisSpec(**shape, memory_mib=CACHE_MEMORY_MIB, name=CACHE, kind="helper", users=cached, purpose="cache")
    platform.made[CACHE] = Redis(CACHE, cache, ServerArgs(**runtime, tls=tls(platform, CACHE)))
    store = RedisSpec(
        **shape, memory_mib=entry.memory, name=entry.name, ports=(platform.port(entry, "redis"),), users=tuple(kept)
    )
    return Redis(entry.name, store, ServerArgs(**runtime, tls=tls(platform, entry.name)))


def redis_of(platform: Platform, entry: Service) -> Redis:
    """The Redis that a service uses, by what it keeps there."""
    return platform.find("redis" if entry.redis == "session" else CACHE, Redis)


def rabbitmq(platform: Platform, entry: Service) -> Rabbitmq:
    """RabbitMQ with a queue for each service that consumes."""
    amqp, management = ("amqps", "management-tls") if platform.settings.tls_data else ("amqp", "management")
    ports = [platform.port(entry, amqp)]
    if "management" in entry.ports:
        ports.append(platform.port(entry, management, "management"))
    spec = RabbitmqSpec(
        **platform.shape(entry),
        ports=tuple(ports),
        generation=platform.rotation("rabbitmq"),
        consumers=tuple(Consumer(name=s.name, topics=s.consumes) for s in platform.catalog.enabled if s.consumes),
    )
    return Rabbitmq(entry.name, spec, ServerArgs(**platform.runtime(entry.image), tls=tls(platform, entry.name)))
