"""What an event is on its way: the envelope that is accepted, and the message it travels in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4, uuid5

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.common.consumer import CORRELATION
from services.common.logs import correlation_id

if TYPE_CHECKING:
    import aio_pika

#: The keys under which an event is published: as it came, and when it is in the database.
RECEIVED, STORED = "event.received", "event.stored"
#: The makers of the ids of messages: an event and what became of it are different messages.
_NAMESPACE = UUID("6e657875-732d-6576-656e-74732d763100")

#: Bytes of a payload as JSON: events tell what happened; what it happened to is kept elsewhere.
PAYLOAD_LIMIT = 65536


def _storable(payload: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(payload)
    if len(text) > PAYLOAD_LIMIT:
        raise ValueError(f"the payload has more than {PAYLOAD_LIMIT} bytes of JSON")
    if "\\u0000" in text:
        raise ValueError("the payload holds a NUL character, which PostgreSQL does not store")
    return payload


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class NewEvent(BaseModel):
    """What a caller reports. With an ``id`` of its own, the caller may send it again without making two events."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(default_factory=uuid4)
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)+$", max_length=100)]
    source: Text
    occurred_at: AwareDatetime
    payload: Annotated[dict[str, Any], AfterValidator(_storable)]


class Event(NewEvent):
    """An event on its way, and as it is stored."""

    received_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    correlation_id: str = Field(default_factory=correlation_id.get)


def message(event: Event, key: str, service: str) -> aio_pika.Message:
    """Put an event into a message; the same event and key make the same id."""
    import aio_pika  # noqa: PLC0415 - loaded by who has a broker

    return aio_pika.Message(
        event.model_dump_json().encode(),
        content_type="application/json",
        message_id=str(uuid5(_NAMESPACE, f"{event.id}/{key}")),
        correlation_id=event.correlation_id,
        headers={CORRELATION: event.correlation_id},
        type=event.type,
        app_id=service,
        timestamp=datetime.now(UTC),
    )
