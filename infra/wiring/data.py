"""The wiring of what holds the services' data."""

from __future__ import annotations

from components.postgres import Database, Postgres, PostgresSpec
from components.redis import Redis, RedisSpec
from components.workload import ServerArgs
from infra import images
from infra.catalog import Service
from infra.platform import Platform


def postgres(platform: Platform, entry: Service) -> Postgres:
    """PostgreSQL with a database for each service that needs it."""
    databases = tuple(Database(name=s.store, owner=s.store) for s in platform.needing(entry.name))
    spec = PostgresSpec(
        stack=platform.stack,
        contract=images.contract("postgres"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "sql"),
        databases=databases,
    )
    return Postgres(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))


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
    return Redis(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))
