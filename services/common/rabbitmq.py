"""RabbitMQ: one connection that is made again by itself, confirmed publishing, and a consumer.

What is needed from a robust connection is done here and not by the driver's own, because credentials change: the next
connection is made before the last one is left, and messages in hand are finished on the one they came over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import aio_pika
from aio_pika.exceptions import AMQPError, AuthenticationError, ProbableAuthenticationError

from services.common.credentials import Source
from services.common.dependency import Dependency, DependencyAwayError, delays, explain
from services.common.settings import RabbitmqSettings
from services.common.tls import context

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

log = logging.getLogger(__name__)

#: The platform's two exchanges.
EVENTS, DEAD = "events", "events.dead"
#: Seconds for a connect, and for a confirm: a quorum queue writes to disk before it confirms.
TIMEOUT = 5.0
#: Seconds for which a message is published again after a lost connection; a restart takes longer, and is told.
RETRY_FOR = 2.0
#: Seconds between heartbeats: a dead peer is noticed within two.
HEARTBEAT = 15
#: Messages in hand at once. More would wait in memory here instead of in the queue.
PREFETCH = 8
#: Seconds that messages in hand get to be finished when their connection is left.
DRAIN = 10.0
# The driver reports a channel that has just been closed as a RuntimeError.
AWAY = (AMQPError, OSError, RuntimeError)

Callback = Callable[["AbstractIncomingMessage"], Awaitable[None]]


class NotTakenError(DependencyAwayError):
    """The broker did not take a message: no queue is bound for it, or the queue is full."""


@contextmanager
def driver() -> Iterator[None]:
    """Turn the driver's way to say that the connection broke, a cancellation, into an error; pass on real ones."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection was lost") from error


class _Session:
    """One connection with its channels."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self.connection, self.channel = connection, channel
        self.lost = asyncio.Event()
        self._queue: AbstractQueue | None = None
        self._tag = ""
        self._in_hand: set[asyncio.Task[None]] = set()
        connection.close_callbacks.add(lambda *_: self.lost.set())
        channel.close_callbacks.add(lambda *_: self.lost.set())  # a wrong exchange closes only the channel

    async def consume(self, queue: str, callback: Callback) -> None:
        channel = await self.connection.channel()
        channel.close_callbacks.add(lambda *_: self.lost.set())
        await channel.set_qos(prefetch_count=PREFETCH)

        async def handle(message: AbstractIncomingMessage) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._in_hand.add(task)
            try:
                await callback(message)
            finally:
                self._in_hand.discard(task)

        self._queue = await channel.get_queue(queue, ensure=False)  # declaring is for who set the broker up
        self._tag = await self._queue.consume(handle)

    async def leave(self, seconds: float) -> None:
        """Take no more messages, finish those in hand, close."""
        with suppress(TimeoutError, *AWAY), driver():
            if self._queue is not None and not self.lost.is_set():
                await asyncio.wait_for(self._queue.cancel(self._tag), TIMEOUT)
            if self._in_hand:
                await asyncio.wait(self._in_hand, timeout=seconds)
        for task in self._in_hand:
            task.cancel()
        with suppress(TimeoutError, *AWAY), driver():
            await asyncio.wait_for(self.connection.close(), TIMEOUT)


class Rabbitmq(Dependency):
    """The service's broker. ``keep`` has to run; it holds the connection."""

    name = "rabbitmq"

    def __init__(self, settings: RabbitmqSettings, application: str, source: Source) -> None:
        super().__init__()
        self.queue = settings.queue
        self._settings, self._application, self._source = settings, application, source
        self._tls = context(settings.ca_file)
        self._session: _Session | None = None
        self._error = "not connected yet"
        self._arrived, self._change = asyncio.Event(), asyncio.Event()
        self._callback: Callback | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        source.on_change(self._change.set)

    def consume(self, callback: Callback) -> None:
        """Have ``callback`` given each message of the service's queue; call it before ``keep``."""
        self._callback = callback

    async def publish(
        self, message: aio_pika.Message, key: str, *, exchange: str = EVENTS, mandatory: bool = True
    ) -> None:
        """Return when the broker has the message safely in every queue bound for it.

        It may arrive twice when a confirm was lost, so it needs an id. ``mandatory``: some queue has to take it.
        Raises ``NotTakenError`` and ``DependencyAwayError``; then it may or may not have arrived.
        """
        started = time.monotonic()
        message.delivery_mode = aio_pika.DeliveryMode.PERSISTENT
        for delay in delays():
            try:
                session = await self._connected(delay)
                with driver():
                    async with asyncio.timeout(TIMEOUT):
                        to = await session.channel.get_exchange(exchange, ensure=False)
                        await to.publish(message, key, mandatory=mandatory)
                        return
            except aio_pika.exceptions.DeliveryError as error:
                raise NotTakenError(self.name, f"no queue took {key}: {explain(error)}") from error
            except AWAY as error:
                self._error = explain(error)
                was_up = self.up_within(RETRY_FOR)
                self.doubt()
                if not was_up or time.monotonic() - started + delay > RETRY_FOR:
                    raise DependencyAwayError(self.name, self._error) from error
            await asyncio.sleep(delay)
        raise AssertionError("delays never end")

    async def look(self, queue: str, limit: int) -> list[AbstractIncomingMessage]:
        """Return up to ``limit`` messages from the head of a queue and leave them in it."""
        try:
            session = await self._connected(1.0)
            with driver():
                async with asyncio.timeout(TIMEOUT), await session.connection.channel() as channel:
                    source, found = await channel.get_queue(queue, ensure=False), []
                    while len(found) < limit and (message := await source.get(fail=False)):
                        found.append(message)
                    for message in found:
                        await message.nack(requeue=True)
                    return found
        except AWAY as error:
            raise DependencyAwayError(self.name, explain(error)) from error

    async def ping(self) -> None:
        """Ask over the connection for something that changes nothing."""
        if self._session is None:
            raise ConnectionError(self._error)
        with driver():
            await self._session.channel.set_qos(prefetch_count=PREFETCH)

    async def keep(self) -> None:
        """Run for ever: hold the connection and probe it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold())
            group.create_task(super().keep())

    async def close(self) -> None:
        """Finish the messages in hand and close."""
        session, self._session = self._session, None
        if session is not None:
            await session.leave(DRAIN)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=TIMEOUT)

    def connections(self) -> dict[str, int]:
        """Return the one connection by state."""
        return {"in_use": int(self._session is not None), "idle": 0, "max": 1}

    async def _connected(self, seconds: float) -> _Session:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), seconds)
        if self._session is None:
            raise ConnectionError(self._error)
        return self._session

    async def _hold(self) -> None:
        waits = delays()
        while True:
            self._change.clear()
            try:
                with driver():
                    session = await self._open()
            except Exception as error:  # a connect that a restart cuts in two fails in ways no list of errors has
                log.debug("no connection", exc_info=True)
                self._error = explain(error)
                await asyncio.sleep(next(waits))
                continue
            waits = delays()
            before, self._session = self._session, session
            self._arrived.set()
            self.doubt()  # that is: have a look and see that it is up
            self._leave(before)
            ends = [asyncio.create_task(event.wait()) for event in (session.lost, self._change)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
            if session.lost.is_set():
                self._error, self._session = "the connection was lost", None
                self._arrived.clear()
                self.doubt()
                self._leave(session)

    def _leave(self, session: _Session | None) -> None:
        if session is not None:
            task = asyncio.create_task(session.leave(DRAIN))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _open(self) -> _Session:
        settings, credentials = self._settings, await self._source.current()
        try:
            connection = await aio_pika.connect(
                host=settings.host,
                port=settings.port,
                virtualhost=settings.vhost,
                login=credentials.username,
                password=credentials.password,
                heartbeat=HEARTBEAT,
                timeout=TIMEOUT,
                ssl=self._tls is not None,
                ssl_context=self._tls,
                client_properties={"connection_name": self._application},
            )
        except (AuthenticationError, ProbableAuthenticationError):
            await self._source.refused(credentials)
            raise
        try:
            session = _Session(connection, await connection.channel(on_return_raises=True))
            if self.queue and self._callback is not None:
                await session.consume(self.queue, self._callback)
        except BaseException:
            await connection.close()
            raise
        return session
