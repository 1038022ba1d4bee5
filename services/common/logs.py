"""Structured logs: one JSON object a line on standard output, each with the correlation id of its request."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from services.common.settings import Settings

#: The id of the request being served; empty outside a request.
correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")


class JsonLines(JsonFormatter):
    """Format a record as timestamp (UTC, milliseconds), level, service, stack, logger, message and its extra fields."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the standard fields first, in the same order on each line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log_data["level"] = record.levelname.lower()
        log_data.update(self.static_fields)
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)
        if request := correlation_id.get():
            log_data["correlation_id"] = request


def configure(settings: Settings) -> None:
    """Send all logs to standard output as JSON, at the level the settings name."""
    handler = logging.StreamHandler(sys.stdout)
    identity = {"service": settings.service, "stack": settings.stack}
    handler.setFormatter(JsonLines("%(message)s", static_fields=identity))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    # The server's own start and stop lines say less than ours do.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # Their lines about each request and frame say less than ours too; a driver's debug lines may show credentials.
    for name in ("httpx", "httpcore", "aiormq", "aio_pika"):
        logging.getLogger(name).setLevel(logging.WARNING)
