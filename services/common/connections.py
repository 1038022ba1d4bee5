"""The clients of all servers that the settings name, each with its credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.common.credentials import EntrySource, FileSource, Source
from services.common.dependency import Dependency
from services.common.settings import PostgresSettings, RabbitmqSettings, RedisSettings, Settings

if TYPE_CHECKING:
    from services.common.consul import Consul
    from services.common.postgres import Postgres
    from services.common.rabbitmq import Rabbitmq
    from services.common.redis import Redis
    from services.common.vault import Vault

# Each client is loaded only where it is used: its driver takes time and memory, and there are twenty services.
# ruff: noqa: PLC0415


@dataclass(frozen=True)
class Connections:
    """What the service is connected to; None is what it does not use."""

    vault: Vault | None = None
    postgres: Postgres | None = None
    redis: Redis | None = None
    rabbitmq: Rabbitmq | None = None
    consul: Consul | None = None

    @property
    def used(self) -> list[Dependency]:
        """Return those there are. Vault is the first; it is to be closed last, as the others' credentials end then."""
        every = (self.vault, self.postgres, self.redis, self.rabbitmq, self.consul)
        return [dependency for dependency in every if dependency is not None]


def connect(settings: Settings) -> Connections:
    """Make the clients. Nothing is asked before their ``keep`` runs or a request uses one."""
    name = settings.service
    vault = _vault(settings)
    return Connections(
        vault=vault,
        postgres=_postgres(settings.postgres, name, vault) if settings.postgres else None,
        redis=_redis(settings.redis, name, vault) if settings.redis else None,
        rabbitmq=_rabbitmq(settings.rabbitmq, name, vault) if settings.rabbitmq else None,
        consul=_consul(settings, vault),
    )


def _vault(settings: Settings) -> Vault | None:
    if settings.vault is None:
        return None
    from services.common.vault import Vault

    return Vault(settings.vault, settings.service)


def _postgres(settings: PostgresSettings, name: str, vault: Vault | None) -> Postgres:
    from services.common.postgres import Postgres

    return Postgres(settings, name, _source(settings, vault, f"database/creds/{name}"))


def _redis(settings: RedisSettings, name: str, vault: Vault | None) -> Redis:
    from services.common.redis import Redis

    if settings.password_file is not None or vault is None:
        return Redis(settings, name, _source(settings, vault, ""))
    return Redis(settings, name, EntrySource(vault, "redis"))


def _rabbitmq(settings: RabbitmqSettings, name: str, vault: Vault | None) -> Rabbitmq:
    from services.common.rabbitmq import Rabbitmq

    return Rabbitmq(settings, name, _source(settings, vault, f"rabbitmq/creds/{name}"))


def _consul(settings: Settings, vault: Vault | None) -> Consul | None:
    if settings.consul is None:
        return None
    from services.common.consul import Consul

    return Consul(settings.consul, settings.service, vault.lease(f"consul/creds/{settings.service}") if vault else None)


def _source(settings: PostgresSettings | RedisSettings | RabbitmqSettings, vault: Vault | None, path: str) -> Source:
    if settings.password_file is not None:
        return FileSource(settings.user, settings.password_file)
    assert vault is not None, "checked with the settings"
    return vault.lease(path)
