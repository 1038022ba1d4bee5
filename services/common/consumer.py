"""How a message is handled: with its correlation id, again when something is away, else to the dead letters."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import aio_pika

from services.common.dependency import DependencyAwayError, delays, explain
from services.common.logs import correlation_id
from services.common.rabbitmq import AWAY, DEAD, Rabbitmq, driver

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

log = logging.getLogger(__name__)

#: The headers of a message; the last three are those of a dead letter.
CORRELATION, REASON, KEY, SERVICE = "x-correlation-id", "x-reason", "x-original-key", "x-service"
#: Seconds for which a message whose handling meets a server that is away is tried again. It is more than a restart of
#: any of them takes, and far less than the broker's own limit on a message in hand (30 min).
PATIENCE = 120.0
#: Waits between two tries, in seconds.
FIRST_RETRY, LONGEST_RETRY = 0.2, 5.0
#: Tries when the handler itself fails: a fault of the program seldom passes, and must not hold the queue.
TRIES = 3

Handler = Callable[["AbstractIncomingMessage"], Awaitable[None]]


class RejectedError(Exception):
    """The message is not what it should be; no other try would change that. The text is the reason."""


class Consumer:
    """Gives a service's messages to ``handler``, which must do the same when it gets one twice."""

    def __init__(
        self,
        rabbitmq: Rabbitmq,
        service: str,
        handler: Handler,
        note: Callable[[str], None] = lambda _: None,
        patience: float = PATIENCE,
    ) -> None:
        self._rabbitmq, self._service, self._handler = rabbitmq, service, handler
        self._note, self._patience = note, patience
        rabbitmq.consume(self._receive)

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        token = correlation_id.set(str(message.headers.get(CORRELATION) or message.correlation_id or ""))
        started = time.perf_counter()
        try:
            reason = await self._handle(message)
            if reason:
                await self._bury(message, reason)
            # A connection that is gone took the message back: it comes again, and the handler bears that.
            with suppress(*AWAY), driver():
                await message.ack()
            result = "dead" if reason else "done"
            self._note(result)
            log.log(
                logging.WARNING if reason else logging.INFO,
                "message %s %s%s",
                message.routing_key,
                result,
                f": {reason}" if reason else "",
                extra={
                    "message_id": message.message_id,
                    "key": message.routing_key,
                    "duration_ms": round((time.perf_counter() - started) * 1000, 2),
                },
            )
        finally:
            correlation_id.reset(token)

    async def _handle(self, message: AbstractIncomingMessage) -> str:
        """Return why the message could not be handled, or nothing."""
        started, failures = time.monotonic(), 0
        for delay in delays(FIRST_RETRY, LONGEST_RETRY):
            try:
                await self._handler(message)
            except RejectedError as error:
                return str(error)
            except DependencyAwayError as error:
                if time.monotonic() - started + delay > self._patience:
                    return f"away for {self._patience:g} s: {error}"
            except Exception as error:
                failures += 1
                log.exception("a message was not handled", extra={"message_id": message.message_id})
                if failures >= TRIES:
                    return f"the handler failed {TRIES} times: {explain(error)}"
            else:
                return ""
            self._note("retry")
            await asyncio.sleep(delay)
        raise AssertionError("delays never end")

    async def _bury(self, message: AbstractIncomingMessage, reason: str) -> None:
        """Put the message into the dead letters with its reason; while that fails, it stays where it is."""
        letter = aio_pika.Message(
            message.body,
            headers={
                **message.headers,
                CORRELATION: correlation_id.get(),
                REASON: reason[:1000],
                KEY: message.routing_key or "",
                SERVICE: self._service,
            },
            content_type=message.content_type,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            type=message.type,
            timestamp=message.timestamp,
        )
        for delay in delays(FIRST_RETRY, LONGEST_RETRY):
            try:
                await self._rabbitmq.publish(letter, self._service, exchange=DEAD)
            except DependencyAwayError as error:
                log.warning("a dead letter waits: %s", error)
                await asyncio.sleep(delay)
            else:
                return
