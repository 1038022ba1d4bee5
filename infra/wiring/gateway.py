"""The wiring of the gateway."""

from __future__ import annotations

from components.kong import Kong, KongArgs, KongSpec
from components.postgres import Postgres
from infra import images
from infra.catalog import Service
from infra.platform import Platform


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
    store = platform.find("postgres", Postgres)
    args = KongArgs(**platform.runtime(entry.image), database=store.connections[entry.store])
    return Kong(entry.name, spec, args)
