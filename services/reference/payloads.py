"""The payload of each type of event: what it must have, and how it is written when it is stored."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, ValidationError

from services.common.consumer import RejectedError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
]
Currency = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Za-z]{3}$")]
#: Money as text: JSON's numbers are binary fractions in most programs.
Amount = Annotated[
    Decimal,
    BeforeValidator(lambda value: str(value) if isinstance(value, float) else value),
    Field(gt=0, max_digits=15, decimal_places=2),
    PlainSerializer(lambda value: str(value.quantize(Decimal("0.01"))), return_type=str),
]


class Payload(BaseModel):
    """A payload may not have what its type does not know: nobody would ever read it."""

    model_config = ConfigDict(extra="forbid")


class UserRegistered(Payload):
    """``user.registered``."""

    user_id: Text
    email: Email


class OrderPlaced(Payload):
    """``order.placed``."""

    order_id: Text
    amount: Amount
    currency: Currency


class FileUploaded(Payload):
    """``file.uploaded``."""

    name: Text
    size: Annotated[int, Field(ge=0)]


class MetricSampled(Payload):
    """``metric.sampled``."""

    name: Text
    value: Annotated[float, Field(allow_inf_nan=False)]


class TaskFinished(Payload):
    """``task.finished``."""

    task_id: Text
    succeeded: bool
    detail: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""


TYPES: dict[str, type[Payload]] = {
    "user.registered": UserRegistered,
    "order.placed": OrderPlaced,
    "file.uploaded": FileUploaded,
    "metric.sampled": MetricSampled,
    "task.finished": TaskFinished,
}


def normalise(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload as its type writes it. Raises ``RejectedError`` with the reason."""
    if kind not in TYPES:
        raise RejectedError(f"there is no event type {kind}; known are {', '.join(sorted(TYPES))}")
    try:
        return TYPES[kind].model_validate(payload).model_dump(mode="json")
    except ValidationError as error:
        raise RejectedError(explain(f"the payload of {kind}", error)) from None


def explain(what: str, error: ValidationError) -> str:
    """Return in one line what is wrong, without the values: they may be personal."""
    rules = (f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors(include_input=False))
    return f"{what} is not valid: {'; '.join(rules)}"
