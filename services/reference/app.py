"""The application of one role: what it is connected to, and the routes and messages that it serves with that."""

from __future__ import annotations

from fastapi import FastAPI

from services.common.application import build
from services.common.connections import Connections, connect
from services.common.metrics import Metrics
from services.common.settings import Settings

# A role's modules are loaded only in that role.
# ruff: noqa: PLC0415


def create_app(settings: Settings) -> FastAPI:
    """Build the application of the role that the settings name."""
    if settings.role == "auth":
        from services.auth.app import create_app as create_auth

        return create_auth(settings)
    connections = connect(settings)
    metrics = Metrics(settings, connections.used)
    app = build(settings, connections.used, f"The NEXUS reference service as {settings.role}.", metrics=metrics)
    _add_items(app, settings, connections, metrics)
    return app


def _add_items(app: FastAPI, settings: Settings, connections: Connections, metrics: Metrics) -> None:
    from services.reference.items import Items, counters_router, items_router

    if connections.postgres is not None:
        connections.postgres.tables = ("items",)
        items = Items(connections.postgres, connections.redis, metrics, settings.cache_seconds)
        app.include_router(items_router(items))
    if connections.redis is not None:
        app.include_router(counters_router(connections.redis))
