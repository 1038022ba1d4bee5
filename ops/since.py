"""Since when: `10m`, `2h`, `1h30m`, or a moment of RFC 3339."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from ops.errors import BAD_INPUT, Failure

#: Seconds of each unit.
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPAN = re.compile(r"(?:[0-9]+[smhd])+")


def moment(text: str, now: datetime | None = None) -> datetime:
    """The moment in UTC, a span counted back from ``now``; raises Failure for what is neither."""
    with suppress(ValueError, OverflowError):
        if SPAN.fullmatch(text):
            seconds = sum(int(number) * UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhd])", text))
            return (now or datetime.now(UTC)) - timedelta(seconds=seconds)
        found = datetime.fromisoformat(text)
        if found.tzinfo:
            return found.astimezone(UTC)
    raise Failure(
        f"--since is {text!r}",
        "it is a span (s, m, h, d) or a moment of RFC 3339 with its zone",
        "write it as 10m, 1h30m, or 2026-01-31T12:00:00Z",
        BAD_INPUT,
    )


def stamp(when: datetime) -> str:
    """As the engine writes moments in its logs: UTC with nine digits, so that the order of texts is that of time."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def read(text: str) -> datetime:
    """A moment as the engine writes it, to the microsecond."""
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00")
