"""PostgreSQL: a pool that is filled when first used, drops connections that a restart made stale, and retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from services.common.credentials import Source
from services.common.dependency import Dependency, DependencyAwayError, delays, explain
from services.common.settings import PostgresSettings
from services.common.tls import context

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

T = TypeVar("T")

#: Seconds for one connect, one wait for a free connection, one statement.
TIMEOUT = 2
#: Seconds after which a request gives up retrying; a caller waits at most this plus one TIMEOUT.
RETRY_FOR = 1.5
#: What says "the server is away or going", as opposed to "the statement is wrong".
AWAY = (
    OSError,  # includes TimeoutError, refused connections, unknown hosts and an unreadable password file
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver met the end of its session in the middle of something
    asyncpg.OperatorInterventionError,  # shutting down, starting up
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory or disk
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # not yet migrated
)
#: What says "not with these credentials"; the last one is how a pooler puts it.
REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.ProtocolViolationError)


class TableMissingError(Exception):
    """The database is there, and the migrations that make the service's tables have not run."""


class Postgres(Dependency):
    """The service's database. ``run`` is how requests use it."""

    name = "postgres"

    def __init__(self, settings: PostgresSettings, application: str, source: Source) -> None:
        super().__init__()
        self._settings, self._application, self._source = settings, application, source
        self._tls = context(settings.ca_file)
        self._pool: asyncpg.Pool | None = None
        self._changing: asyncio.Future[None] | None = None
        #: Tables without which the service is not ready; migrations make them.
        self.tables: tuple[str, ...] = ()
        source.on_change(self._change_over)

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
                was_up = self.up_within(RETRY_FOR)
                self.doubt()
                if not was_up or time.monotonic() - started + delay > RETRY_FOR:
                    raise DependencyAwayError(self.name, explain(error)) from error
            await asyncio.sleep(delay)
        raise AssertionError("delays never end")

    async def ping(self) -> None:
        """Ask over a pooled connection whether the tables are there. Raises ``TableMissingError``."""
        query = "select name from unnest($1::text[]) name where to_regclass(quote_ident(name)) is null"
        async with self._connection() as connection:
            if missing := await connection.fetchval(query, self.tables):
                raise TableMissingError(f"there is no table {missing} in this database; its migrations have to run")

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
            # min_size 0: opening needs no server. The keeper's probe keeps one connection warm.
            self._pool = asyncpg.create_pool(
                connect=self._connect,
                min_size=0,
                max_size=self._settings.pool_max,
                max_inactive_connection_lifetime=300,
            )
        return await self._pool

    async def _connect(self, _dsn: str | None, **given: Any) -> asyncpg.Connection:
        """Connect with the credentials of this moment. Those of open connections may be older; they work on."""
        settings, credentials = self._settings, await self._source.current()
        try:
            return await asyncpg.connect(
                host=settings.host,
                port=settings.port,
                database=settings.database,
                user=credentials.username,
                password=credentials.password,
                ssl=self._tls,
                timeout=TIMEOUT,
                command_timeout=TIMEOUT,
                server_settings={"application_name": self._application},
                **given,
            )
        except REFUSED:
            await self._source.refused(credentials)
            raise

    def _change_over(self) -> None:
        """Use the new credentials from now on: a connection in use is replaced when it is given back."""
        if self._pool is not None:
            self._changing = asyncio.ensure_future(self._pool.expire_connections())
