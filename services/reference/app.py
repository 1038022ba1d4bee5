"""The application: it wires settings, dependencies and routes, and owns their life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from services.reference import __version__, problems
from services.reference.cache import Cache
from services.reference.dependency import Dependency, Probe, milliseconds
from services.reference.items import Items, counters_router, items_router
from services.reference.metrics import Metrics
from services.reference.observe import Observe
from services.reference.postgres import Postgres
from services.reference.settings import Settings

log = logging.getLogger(__name__)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    service: str


class DependencyState(BaseModel):
    """One server: ``latency_ms`` when it is up, ``error`` when it is not."""

    status: Literal["up", "down"]
    latency_ms: float | None = None
    error: str | None = None


class Readiness(BaseModel):
    """Whether all the service needs is there."""

    status: Literal["ready", "unavailable"]
    service: str
    dependencies: dict[str, DependencyState]


class Info(BaseModel):
    """What this is and where to look."""

    service: str
    stack: str
    version: str
    dependencies: list[str]
    links: dict[str, str]


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Nothing is connected before it runs, and it runs whether or not a server is there."""
    postgres = Postgres(settings.postgres, settings.service) if settings.postgres else None
    cache = Cache(settings.redis, settings.service) if settings.redis else None
    dependencies: list[Dependency] = [dependency for dependency in (postgres, cache) if dependency is not None]
    metrics = Metrics(settings, dependencies)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        keepers = [asyncio.create_task(dependency.keep()) for dependency in dependencies]
        log.info("started", extra={"version": __version__, "port": settings.port})
        yield
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*(dependency.close() for dependency in dependencies), return_exceptions=True)
        log.info("stopped")

    app = FastAPI(
        title=settings.service,
        version=__version__,
        description="The NEXUS reference service.",
        docs_url=None,  # its page loads scripts from elsewhere; the gateway has a page for all services
        redoc_url=None,
        lifespan=life,
    )
    app.add_middleware(Observe, metrics=metrics)
    problems.install(app)
    _add_operations(app, settings, dependencies, metrics)
    if postgres is not None:
        app.include_router(items_router(Items(postgres, cache, metrics, settings.cache_seconds)))
    if cache is not None:
        app.include_router(counters_router(cache))
    return app


def _add_operations(app: FastAPI, settings: Settings, dependencies: Sequence[Dependency], metrics: Metrics) -> None:
    @app.get("/health", tags=["operations"])
    async def health() -> Health:
        """Say that the process is fine. Never asks another server: a restart here would not mend one there."""
        return Health(service=settings.service)

    @app.get(
        "/ready",
        tags=["operations"],
        response_model_exclude_none=True,
        responses={503: {"model": Readiness, "description": "Something the service needs is away"}},
    )
    async def ready(response: Response) -> Readiness:
        """Ask each dependency, all at once, for 2 s at most."""
        probes = await asyncio.gather(*(dependency.probe() for dependency in dependencies))
        states = {dependency.name: _state(probe) for dependency, probe in zip(dependencies, probes, strict=True)}
        complete = all(state.status == "up" for state in states.values())
        response.status_code = 200 if complete else 503
        return Readiness(status="ready" if complete else "unavailable", service=settings.service, dependencies=states)

    @app.get("/metrics", tags=["operations"], response_class=Response)
    async def measurements(request: Request) -> Response:
        """Answer a Prometheus scrape."""
        document, media_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(document, headers={"Content-Type": media_type})

    @app.get("/", tags=["operations"])
    async def info(request: Request) -> Info:
        """Say what this is."""
        prefix = request.scope.get("root_path", "")
        pages = ("health", "ready", "metrics", "openapi.json")
        return Info(
            service=settings.service,
            stack=settings.stack,
            version=__version__,
            dependencies=[dependency.name for dependency in dependencies],
            links={page.partition(".")[0]: f"{prefix}/{page}" for page in pages},
        )


def _state(probe: Probe) -> DependencyState:
    if probe.latency is None:
        return DependencyState(status="down", error=probe.error)
    return DependencyState(status="up", latency_ms=milliseconds(probe.latency))
