"""The application of one role: what it is connected to, and the routes and messages that it serves with that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from services.common.application import build
from services.common.connections import Connections, connect
from services.common.metrics import Metrics
from services.common.settings import PREFIX, Settings, SettingsError, role_settings

# A role's modules are loaded only in that role.
# ruff: noqa: PLC0415

Add = Callable[[FastAPI, Settings, Connections, Metrics], None]


class QueueSettings(BaseModel):
    """The ``NEXUS_SETTINGS`` of every role that consumes."""

    model_config = ConfigDict(extra="ignore")

    retry_seconds: float = Field(default=120.0, gt=0, le=1200)


def create_app(settings: Settings) -> FastAPI:
    """Build the application of the role that the settings name. Raises ``SettingsError``."""
    if settings.role == "auth":
        from services.auth.app import create_app as create_auth

        return create_auth(settings)
    connections = connect(settings)
    metrics = Metrics(settings, connections.used)
    app = build(settings, connections.used, f"The NEXUS reference service as {settings.role}.", metrics=metrics)
    ROLES[settings.role](app, settings, connections, metrics)
    if connections.consul is not None:
        from services.reference.neighbours import neighbours_router

        app.include_router(neighbours_router(connections.consul))
    if connections.rabbitmq is not None and connections.rabbitmq.queue:
        from services.reference.dead import dead_router

        app.include_router(dead_router(connections.rabbitmq))
    return app


def _needs(settings: Settings, connections: Connections, *names: str) -> list[Any]:
    missing = [f"{PREFIX}{name.upper()}_*" for name in names if getattr(connections, name) is None]
    if missing:
        raise SettingsError(
            f"Role {settings.role} needs {', '.join(missing)}. Set them in the container's environment."
        )
    return [getattr(connections, name) for name in names]


def _consume(settings: Settings, connections: Connections, metrics: Metrics, handler: Any) -> None:
    from services.common.consumer import Consumer

    (rabbitmq,) = _needs(settings, connections, "rabbitmq")
    if not rabbitmq.queue:
        raise SettingsError(f"Role {settings.role} needs {PREFIX}RABBITMQ_QUEUE. Set it for the container.")
    patience = role_settings(settings, QueueSettings).retry_seconds
    Consumer(rabbitmq, settings.service, handler, lambda result: metrics.consumed.labels(result).inc(), patience)


def _items(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.items import Items, counters_router, items_router

    if connections.postgres is not None:
        connections.postgres.tables = ("items",)
        items = Items(connections.postgres, connections.redis, metrics, settings.cache_seconds)
        app.include_router(items_router(items))
    if connections.redis is not None:
        app.include_router(counters_router(connections.redis))
    if connections.rabbitmq is not None and connections.rabbitmq.queue:
        _search(app, settings, connections, metrics)


def _search(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.search import Search, SearchSettings, search_router

    consul, redis = _needs(settings, connections, "consul", "redis")
    source = role_settings(settings, SearchSettings).events_from
    search = Search(consul, redis, metrics, source, settings.cache_seconds)
    _consume(settings, connections, metrics, search.handle)
    app.include_router(search_router(search))


def _search_alone(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    _needs(settings, connections, "rabbitmq")
    _items(app, settings, connections, metrics)


def _events(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.ingest import ingest_router

    (rabbitmq,) = _needs(settings, connections, "rabbitmq")
    app.include_router(ingest_router(rabbitmq, metrics, settings.service))


def _transform(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.transform import Transform, transform_router

    postgres, rabbitmq = _needs(settings, connections, "postgres", "rabbitmq")
    postgres.tables = ("events",)
    transform = Transform(postgres, rabbitmq, metrics, settings.service)
    _consume(settings, connections, metrics, transform.handle)
    app.include_router(transform_router(transform))


def _audit(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.audit import Audit, audit_router

    (postgres,) = _needs(settings, connections, "postgres")
    postgres.tables = ("audit",)
    audit = Audit(postgres)
    _consume(settings, connections, metrics, audit.handle)
    app.include_router(audit_router(audit))


def _ai(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.ai import Ai, AiLimits, ai_router

    vault, redis = _needs(settings, connections, "vault", "redis")
    limits = role_settings(settings, AiLimits)
    app.include_router(ai_router(Ai(settings.ai, limits, vault, redis, metrics) if settings.ai else None))


ROLES: dict[str, Add] = {
    "items": _items,
    "search": _search_alone,
    "events": _events,
    "transform": _transform,
    "audit": _audit,
    "ai": _ai,
}
