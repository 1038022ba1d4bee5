"""Reading events of another service: found in Consul, cached in Redis, and forgotten when the broker says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, Field

from services.common.consul import Consul
from services.common.dependency import DependencyAwayError
from services.common.metrics import Metrics
from services.common.redis import Redis

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

log = logging.getLogger(__name__)

#: The counter that is part of each cached page's key: one more, and all pages are forgotten.
_GENERATION = "events:generation"


class SearchSettings(BaseModel):
    """The role's ``NEXUS_SETTINGS``."""

    events_from: Annotated[str, Field(min_length=1)] = "transform"


class Search:
    """Events of the service that stores them. Without its cache it is slower, never wrong."""

    def __init__(self, consul: Consul, redis: Redis, metrics: Metrics, source: str, seconds: int) -> None:
        self._consul, self._redis, self._metrics = consul, redis, metrics
        self._source, self._seconds = source, seconds

    async def handle(self, _: AbstractIncomingMessage) -> None:
        """An event was stored: pages read before that are forgotten."""
        await self._redis.count(_GENERATION)

    async def page(self, query: str) -> tuple[bytes, bool]:
        """Return the page for a query string, and whether it came from the cache."""
        try:
            generation = int(await self._redis.get(_GENERATION) or 0)
        except DependencyAwayError:
            self._metrics.cache.labels("error").inc()
            return await self._ask(f"/events?{query}"), False
        # Read before the page is: a page made during a change is kept under a generation that is over.
        return await self._through(f"events:{generation}:{query}", f"/events?{query}")

    async def one(self, key: UUID) -> tuple[bytes, bool]:
        """Return one event; it never changes."""
        return await self._through(f"event:{key}", f"/events/{key}")

    async def _through(self, key: str, path: str) -> tuple[bytes, bool]:
        try:
            cached = await self._redis.get(key)
        except DependencyAwayError:
            self._metrics.cache.labels("error").inc()
            return await self._ask(path), False
        self._metrics.cache.labels("hit" if cached else "miss").inc()
        if cached:
            return cached, True
        found = await self._ask(path)
        try:
            await self._redis.put(key, found, self._seconds)
        except DependencyAwayError as error:
            log.debug("not cached: %s", error)
        return found, False

    async def _ask(self, path: str) -> bytes:
        answer = await self._consul.call(self._source, "GET", path)
        if answer.status_code == 404:
            raise HTTPException(404, "There is no such event.")
        if answer.status_code != 200:
            raise DependencyAwayError(self._source, f"it answered {answer.status_code}")
        return answer.content


def search_router(search: Search) -> APIRouter:
    """Build the routes of the role."""
    router = APIRouter(prefix="/events", tags=["events"])

    @router.get("", response_class=Response)
    async def read_page(
        type: Annotated[str, Query(pattern=r"^[a-z0-9.]{0,100}$")] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        """Return the newest events, of one type or all."""
        return _answer(*await search.page(f"limit={limit}" + (f"&type={type}" if type else "")))

    @router.get("/{key}", response_class=Response)
    async def read(key: UUID) -> Response:
        """Return one event."""
        return _answer(*await search.one(key))

    return router


def _answer(document: bytes, cached: bool) -> Response:
    return Response(document, media_type="application/json", headers={"X-Cache": "hit" if cached else "miss"})
