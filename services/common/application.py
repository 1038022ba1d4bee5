"""The web application all services share: operations, metrics, errors, and the life of what it is connected to."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from services import __version__
from services.common import problems
from services.common.dependency import Dependency, Probe, milliseconds
from services.common.identity import Identity, identity
from services.common.metrics import Metrics
from services.common.observe import Observe
from services.common.settings import Settings

log = logging.getLogger(__name__)

Background = Callable[[], Coroutine[Any, Any, None]]


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
    role: str
    version: str
    dependencies: list[str]
    links: dict[str, str]


def build(
    settings: Settings,
    dependencies: Sequence[Dependency],
    description: str,
    background: Sequence[Background] = (),
    metrics: Metrics | None = None,
) -> FastAPI:
    """Build an application to which the service adds its routes.

    ``dependencies`` (Vault first) are kept up and probed; ``background`` runs as long as the application. Nothing is
    connected before it runs, and it runs whether or not a server is there.
    """
    metrics = metrics or Metrics(settings, dependencies)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        works = [dependency.keep for dependency in dependencies] + list(background)
        tasks = [asyncio.create_task(work()) for work in works]
        for task in tasks:
            task.add_done_callback(_end_with)
        log.info("started", extra={"version": __version__, "port": settings.port, "role": settings.role})
        yield
        await _stop(tasks, dependencies)
        log.info("stopped")

    app = FastAPI(
        title=settings.service,
        version=__version__,
        description=description,
        docs_url=None,  # its page loads scripts from elsewhere; the gateway has a page for all services
        redoc_url=None,
        lifespan=life,
    )
    app.add_middleware(Observe, metrics=metrics)
    problems.install(app)
    _add_checks(app, settings, dependencies)
    _add_documents(app, settings, dependencies, metrics)
    return app


def _end_with(task: asyncio.Task[None]) -> None:
    """End the process with a task that was to run for ever: a new process is better than half a one."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("a background task failed; the service stops", exc_info=error)
        signal.raise_signal(signal.SIGTERM)


async def _stop(tasks: Sequence[asyncio.Task[None]], dependencies: Sequence[Dependency]) -> None:
    """End all; the first dependency, whose credentials the others use, after the others."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(dependency.close() for dependency in dependencies[1:]), return_exceptions=True)
    await asyncio.gather(*(dependency.close() for dependency in dependencies[:1]), return_exceptions=True)


def _add_checks(app: FastAPI, settings: Settings, dependencies: Sequence[Dependency]) -> None:
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


def _add_documents(app: FastAPI, settings: Settings, dependencies: Sequence[Dependency], metrics: Metrics) -> None:
    @app.get("/metrics", tags=["operations"], response_class=Response)
    async def measurements(request: Request) -> Response:
        """Answer a Prometheus scrape."""
        document, media_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(document, headers={"Content-Type": media_type})

    @app.get("/whoami", tags=["operations"])
    async def whoami(request: Request) -> Identity:
        """Say who the gateway says the caller is."""
        return identity(request)

    @app.get("/", tags=["operations"])
    async def info(request: Request) -> Info:
        """Say what this is."""
        prefix = request.scope.get("root_path", "")
        pages = ("health", "ready", "metrics", "openapi.json")
        return Info(
            service=settings.service,
            stack=settings.stack,
            role=settings.role,
            version=__version__,
            dependencies=[dependency.name for dependency in dependencies],
            links={page.partition(".")[0]: f"{prefix}/{page}" for page in pages},
        )


def _state(probe: Probe) -> DependencyState:
    if probe.latency is None:
        return DependencyState(status="down", error=probe.error)
    return DependencyState(status="up", latency_ms=milliseconds(probe.latency))
