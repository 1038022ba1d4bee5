"""Role ``audit``: writes down every event there is, and never changes what is written."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.common.consumer import RejectedError
from services.common.identity import Requires
from services.common.logs import correlation_id
from services.common.postgres import Postgres

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

_INSERT = """
insert into audit (message_id, key, type, source, correlation_id, sent_at, message)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (message_id) do nothing
"""
_PAGE = "select * from audit where $1::bigint is null or number < $1 order by number desc limit $2"


class Entry(BaseModel):
    """One line of the audit trail."""

    number: int
    message_id: UUID
    key: str
    type: str
    source: str
    correlation_id: str
    sent_at: datetime | None
    recorded_at: datetime
    message: Any


class Audit:
    """The trail, in PostgreSQL; its table refuses changes."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def handle(self, incoming: AbstractIncomingMessage) -> None:
        """Write one message down, once."""
        try:
            message_id, text = UUID(incoming.message_id or ""), incoming.body.decode()
            json.loads(text)
        except ValueError:
            raise RejectedError("the message has no UUID as its id, or no JSON as its body") from None
        await self._postgres.run(
            lambda connection: connection.execute(
                _INSERT,
                message_id,
                incoming.routing_key or "",
                incoming.type or "",
                incoming.app_id or "",
                correlation_id.get(),
                incoming.timestamp,
                text,
            )
        )

    async def page(self, before: int | None, limit: int) -> list[Entry]:
        """Return the newest entries, those ``before`` a number."""
        rows = await self._postgres.run(lambda connection: connection.fetch(_PAGE, before, limit))
        return [Entry(**{**dict(row), "message": json.loads(row["message"])}) for row in rows]


def audit_router(audit: Audit) -> APIRouter:
    """Build the routes of the role."""
    router = APIRouter(prefix="/entries", tags=["audit"], dependencies=[Depends(Requires("operator"))])

    @router.get("")
    async def read(before: int | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Entry]:
        """Show the newest entries."""
        return await audit.page(before, limit)

    return router
