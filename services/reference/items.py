"""A small real use of PostgreSQL and Redis: items in a table with a cache beside it, and counters."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, Field

from services.common.dependency import DependencyAwayError
from services.common.metrics import Metrics
from services.common.postgres import Postgres
from services.common.redis import Redis

log = logging.getLogger(__name__)

# PostgreSQL's text holds every character but NUL.
_NO_NUL = r"^[^\x00]*$"

CounterName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class NewItem(BaseModel):
    """What a caller stores."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]
    value: Annotated[str, Field(max_length=10_000, pattern=_NO_NUL)] = ""


class Item(NewItem):
    """What is stored."""

    id: UUID
    created_at: datetime


class Counter(BaseModel):
    """A counter's name and its value after the call."""

    name: str
    value: int


class Items:
    """Items in PostgreSQL; a cache that is away costs time, never an answer."""

    def __init__(self, postgres: Postgres, cache: Redis | None, metrics: Metrics, cache_seconds: int) -> None:
        self._postgres, self._cache, self._metrics, self._seconds = postgres, cache, metrics, cache_seconds

    async def add(self, new: NewItem) -> Item:
        """Store an item. Its id is made here, so that a retry after a lost connection stores it once."""
        key = uuid4()
        row = await self._postgres.run(
            lambda connection: connection.fetchrow(
                "insert into items (id, name, value) values ($1, $2, $3)"
                " on conflict (id) do update set name = excluded.name returning *",
                key,
                new.name,
                new.value,
            )
        )
        self._metrics.items.inc()
        return Item(**dict(row))

    async def page(self, limit: int, after: UUID | None) -> list[Item]:
        """Return up to ``limit`` items in the order of their ids, those after ``after``."""
        rows = await self._postgres.run(
            lambda connection: connection.fetch(
                "select * from items where $1::uuid is null or id > $1 order by id limit $2", after, limit
            )
        )
        return [Item(**dict(row)) for row in rows]

    async def one(self, key: UUID) -> tuple[Item | None, bool]:
        """Return the item, and whether it came from the cache."""
        if cached := await self._cached(key):
            return Item.model_validate_json(cached), True
        row = await self._postgres.run(lambda connection: connection.fetchrow("select * from items where id = $1", key))
        if row is None:
            return None, False
        item = Item(**dict(row))
        if self._cache is not None:
            try:
                await self._cache.put(f"item:{key}", item.model_dump_json(), self._seconds)
            except DependencyAwayError as error:
                log.debug("not cached: %s", error)
        return item, False

    async def remove(self, key: UUID) -> bool:
        """Delete the item here and in the cache; without the cache an old copy lives until its time is over."""
        done = await self._postgres.run(lambda connection: connection.execute("delete from items where id = $1", key))
        if self._cache is not None:
            try:
                await self._cache.drop(f"item:{key}")
            except DependencyAwayError as error:
                log.warning("an item may stay cached for %d s: %s", self._seconds, error)
        return done == "DELETE 1"

    async def _cached(self, key: UUID) -> bytes | None:
        if self._cache is None:
            return None
        try:
            found = await self._cache.get(f"item:{key}")
        except DependencyAwayError:
            self._metrics.cache.labels("error").inc()
            return None
        self._metrics.cache.labels("hit" if found else "miss").inc()
        return found


def items_router(items: Items) -> APIRouter:
    """Build the routes of a service that has PostgreSQL."""
    router = APIRouter(prefix="/items", tags=["items"])

    @router.post("", status_code=201)
    async def create(new: NewItem, request: Request, response: Response) -> Item:
        item = await items.add(new)
        response.headers["Location"] = f"{request.scope.get('root_path', '')}/items/{item.id}"
        return item

    @router.get("")
    async def read_page(limit: Annotated[int, Query(ge=1, le=100)] = 20, after: UUID | None = None) -> list[Item]:
        return await items.page(limit, after)

    @router.get("/{key}")
    async def read(key: UUID, response: Response) -> Item:
        item, cached = await items.one(key)
        if item is None:
            raise HTTPException(404, f"There is no item {key}.")
        response.headers["X-Cache"] = "hit" if cached else "miss"
        return item

    @router.delete("/{key}", status_code=204)
    async def delete(key: UUID) -> None:
        if not await items.remove(key):
            raise HTTPException(404, f"There is no item {key}.")

    return router


def counters_router(cache: Redis) -> APIRouter:
    """Build the routes of a service that has Redis."""
    router = APIRouter(prefix="/counters", tags=["counters"])

    @router.post("/{name}")
    async def count(name: CounterName, by: Annotated[int, Query(ge=1, le=1000)] = 1) -> Counter:
        return Counter(name=name, value=await cache.count(f"counter:{name}", by))

    return router
