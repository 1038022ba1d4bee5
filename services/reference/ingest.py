"""Role ``events``: takes events in. What it has answered for is safe in the broker."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from services.common.metrics import Metrics
from services.common.rabbitmq import Rabbitmq
from services.reference.envelope import RECEIVED, Event, NewEvent, message


class Accepted(BaseModel):
    """The event is on its way; its id finds it later, the correlation id finds all that was logged about it."""

    id: str
    correlation_id: str


def ingest_router(rabbitmq: Rabbitmq, metrics: Metrics, service: str) -> APIRouter:
    """Build the routes of the role."""
    router = APIRouter(tags=["events"])

    @router.post("/", status_code=202, responses={503: {"description": "Not accepted; try again"}})
    async def accept(new: NewEvent) -> Accepted:
        """Accept an event once the broker has confirmed it; else the answer is 503 and the caller tries again."""
        event = Event(**new.model_dump())
        await rabbitmq.publish(message(event, RECEIVED, service), RECEIVED)
        metrics.published.labels(RECEIVED).inc()
        return Accepted(id=str(event.id), correlation_id=event.correlation_id)

    return router
