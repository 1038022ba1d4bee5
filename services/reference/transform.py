"""Role ``transform``: checks and normalises each event, stores it once, and says so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from pydantic import ValidationError

from services.common.consumer import RejectedError
from services.common.metrics import Metrics
from services.common.postgres import Postgres
from services.common.rabbitmq import Rabbitmq
from services.reference.envelope import STORED, Event, message
from services.reference.payloads import explain, normalise

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

_INSERT = """
insert into events (id, type, source, occurred_at, received_at, correlation_id, payload)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing
"""
_PAGE = """
select * from events where ($1::text is null or type = $1) and ($2::timestamptz is null or received_at < $2)
order by received_at desc, id limit $3
"""


class Transform:
    """Makes stored events of received ones."""

    def __init__(self, postgres: Postgres, rabbitmq: Rabbitmq, metrics: Metrics, service: str) -> None:
        self._postgres, self._rabbitmq, self._metrics, self._service = postgres, rabbitmq, metrics, service

    async def handle(self, incoming: AbstractIncomingMessage) -> None:
        """Store a received event. Twice the same one changes nothing, so that whatever fails here can be repeated."""
        event = _read(incoming.body)
        await self._postgres.run(
            lambda connection: connection.execute(
                _INSERT,
                event.id,
                event.type,
                event.source,
                event.occurred_at,
                event.received_at,
                event.correlation_id,
                json.dumps(event.payload),
            )
        )
        # Nobody need listen; but it is said even if the row was there: the last try may have ended before this line.
        await self._rabbitmq.publish(message(event, STORED, self._service), STORED, mandatory=False)
        self._metrics.published.labels(STORED).inc()

    async def one(self, key: UUID) -> Event | None:
        """Return a stored event."""
        row = await self._postgres.run(
            lambda connection: connection.fetchrow("select * from events where id = $1", key)
        )
        return None if row is None else _event(row)

    async def page(self, kind: str | None, before: datetime | None, limit: int) -> list[Event]:
        """Return the newest events, those received ``before`` a moment."""
        rows = await self._postgres.run(lambda connection: connection.fetch(_PAGE, kind, before, limit))
        return [_event(row) for row in rows]


def transform_router(transform: Transform) -> APIRouter:
    """Build the routes of the role."""
    router = APIRouter(prefix="/events", tags=["events"])

    @router.get("")
    async def read_page(
        type: Annotated[str | None, Query(max_length=100)] = None,
        before: datetime | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> list[Event]:
        return await transform.page(type, before, limit)

    @router.get("/{key}")
    async def read(key: UUID) -> Event:
        if (event := await transform.one(key)) is None:
            raise HTTPException(404, f"There is no event {key}.")
        return event

    return router


def _read(body: bytes) -> Event:
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        raise RejectedError(explain("the event", error)) from None
    moment = event.occurred_at.astimezone(UTC)
    return event.model_copy(update={"payload": normalise(event.type, event.payload), "occurred_at": moment})


def _event(row: Any) -> Event:
    return Event(**{**dict(row), "payload": json.loads(row["payload"]), "correlation_id": row["correlation_id"] or ""})
