"""One log line for everything that has to be known later: who was let in, who was not, what was changed."""

from __future__ import annotations

import logging

log = logging.getLogger("services.auth.audit")


def record(event: str, outcome: str, **details: object) -> None:
    """Write the line. Never a secret; names that callers typed only where such a user exists, lest it be a password."""
    level = logging.INFO if outcome == "success" else logging.WARNING
    known = {name: str(value) for name, value in details.items() if value not in (None, "")}
    log.log(level, "%s: %s", event, outcome, extra={"event": event, "outcome": outcome, **known})
