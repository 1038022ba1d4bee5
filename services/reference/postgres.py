"""PostgreSQL: a pool that is filled when first used, drops connections that a restart made stale, and retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from services.reference.dependency import Dependency, DependencyAwayError, delays, explain
from services.reference.settings import PostgresSettings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

T = TypeVar("T")

#: Seconds for one connect, one wait for a free connection, one statement.
TIMEOUT = 2.0
#: Seconds after which a request gives up retrying; a caller waits at most this plus one TIMEOUT.
RETRY_FOR = 1.0
#: What says "the server is away or going", as opposed to "the statement is wrong".
AWAY = (
    OSError,  # includes TimeoutError, refused connections, unknown hosts and an unreadable password file
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory or disk
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
#: Any number that only this service's schema set-up uses ("NEXUS" in ASCII).
SCHEMA_LOCK = 0x4E45585553
SCHEMA = """
create table if not exists items (
    id uuid primary key,
    name text not null,
    value text not null,
    created_at timestamptz not null default now()
)
"""


class Postgres(Dependency):
    """The service's database. ``run`` is how requests use it."""

    name = "postgres"

    def __init__(self, settings: PostgresSettings, application: str) -> None:
        super().__init__()
        self._settings, self._application = settings, application
        self._pool: asyncpg.Pool | None = None

    async def run(self, work: Callable[[PoolConnectionProxy], Awaitable[T]]) -> T:
        """Give ``work`` a connection and return its result; ``work`` must be safe to run twice.

        Repeats it with back-off for up to ``RETRY_FOR`` seconds while the server was up a moment ago (a restart, a
        stale connection); once it is known to be away, one try is made, so that callers are not kept waiting.
        Raises ``DependencyAwayError``.
        """
        started = time.monotonic()
        for delay in delays():
            try:
                async with self._connection() as connection:
                    return await work(connection)
            except AWAY as error:
                was_up = self.up
                self.doubt()
                if not was_up or time.monotonic() - started + delay > RETRY_FOR:
                    raise DependencyAwayError(self.name, explain(error)) from error
            await asyncio.sleep(delay)
        raise AssertionError("delays never end")

    async def ping(self) -> None:
        """Ask for a row over a pooled connection."""
        async with self._connection() as connection:
            await connection.fetchval("select 1")

    async def close(self) -> None:
        """Close the pool: politely for a moment, then at once."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), TIMEOUT)
        except (TimeoutError, *AWAY):
            self._pool.terminate()

    def connections(self) -> dict[str, int]:
        """Return the pool's size by state."""
        size, idle = (self._pool.get_size(), self._pool.get_idle_size()) if self._pool else (0, 0)
        return {"in_use": size - idle, "idle": idle, "max": self._settings.pool_max}

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        pool = await self._open()
        connection = await pool.acquire(timeout=TIMEOUT)
        try:
            yield connection
        except (*AWAY, asyncio.CancelledError):
            # What state it is in is not known; asking a hung server to cancel could block, so it is just dropped.
            connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def _open(self) -> asyncpg.Pool:
        if self._pool is None:
            settings = self._settings
            # min_size 0: opening needs no server. The keeper's probe keeps one connection warm.
            self._pool = asyncpg.create_pool(
                host=settings.host,
                port=settings.port,
                database=settings.database,
                user=settings.user,
                password=settings.password,  # a callable: asked again for each connection, so a rotation is seen
                min_size=0,
                max_size=settings.pool_max,
                max_inactive_connection_lifetime=300,
                timeout=TIMEOUT,
                command_timeout=TIMEOUT,
                init=_prepare,
                server_settings={"application_name": self._application},
            )
        return await self._pool


async def _prepare(connection: asyncpg.Connection) -> None:
    """Make the tables once, whichever of several replicas comes first; one cheap look-up on later connections."""
    if await connection.fetchval("select to_regclass('items')") is not None:
        return
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", SCHEMA_LOCK)
        await connection.execute(SCHEMA)
