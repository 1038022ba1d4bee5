"""The dead letters of a service that consumes: what could not be handled, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.common.consumer import CORRELATION, KEY, REASON
from services.common.identity import Requires
from services.common.rabbitmq import Rabbitmq

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

#: The role that may see them: they hold what callers sent.
OPERATOR = "operator"


class Letter(BaseModel):
    """One dead letter; its body is cut to what a person reads."""

    id: str
    key: str
    reason: str
    correlation_id: str
    body: str


def dead_router(rabbitmq: Rabbitmq) -> APIRouter:
    """Build the routes of a service that has a queue."""
    router = APIRouter(prefix="/dead", tags=["operations"], dependencies=[Depends(Requires(OPERATOR))])

    @router.get("")
    async def read(limit: Annotated[int, Query(ge=1, le=50)] = 20) -> list[Letter]:
        """Show the oldest dead letters; they stay where they are."""
        return [_letter(message) for message in await rabbitmq.look(f"{rabbitmq.queue}.dead", limit)]

    return router


def _letter(message: AbstractIncomingMessage) -> Letter:
    headers: dict[str, Any] = dict(message.headers)
    deaths = headers.get("x-death") or [{}]
    return Letter(
        id=message.message_id or "",
        key=str(headers.get(KEY) or (deaths[0].get("routing-keys") or [""])[0]),
        # Without a reason of ours the broker buried it: the service died of it too often, or the queue was full.
        reason=str(headers.get(REASON) or f"the broker: {deaths[0].get('reason', 'unknown')}"),
        correlation_id=str(headers.get(CORRELATION) or message.correlation_id or ""),
        body=message.body[:2000].decode(errors="replace"),
    )
