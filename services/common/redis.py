"""Redis: a client whose pool reconnects with back-off, for cached answers, counters and sessions."""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from services.common.credentials import Credentials, Source
from services.common.dependency import Dependency, DependencyAwayError, explain
from services.common.settings import RedisSettings
from services.common.tls import context

#: Seconds for a connect, an answer, a free connection. A cache that is slower than this is no help.
TIMEOUT = 1.0
#: A connection that a restart cut is replaced and the command repeated, this often.
RETRIES = 2
AWAY = (RedisError, OSError)


class _Provider(CredentialProvider):
    """Asks for the credentials for each connection, so that a rotation is seen."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.last = Credentials("", "")

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        raise NotImplementedError("only the asynchronous client is used")

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        self.last = await self._source.current()
        return (self.last.username, self.last.password) if self.last.username else (self.last.password,)


class _Encrypted(SSLConnection):
    """A connection whose server is checked as all are: the driver's own context trusts the system's authorities."""

    def __init__(self, *, checked: ssl.SSLContext, **rest: Any) -> None:
        super().__init__(**rest)
        self.ssl_context.context = checked


def encryption(settings: RedisSettings) -> dict[str, Any]:
    """What the pool makes its connections from."""
    checked = context(settings.ca_file)
    return {"connection_class": _Encrypted, "checked": checked} if checked else {"connection_class": Connection}


class Redis(Dependency):
    """The service's Redis. Keys start with the service's name, so that an ACL can be given per service."""

    name = "redis"

    def __init__(self, settings: RedisSettings, prefix: str, source: Source) -> None:
        super().__init__()
        self._prefix, self._source = prefix, source
        self._provider = _Provider(source)
        self._pool = BlockingConnectionPool(
            **encryption(settings),
            host=settings.host,
            port=settings.port,
            db=settings.database,
            credential_provider=self._provider,
            max_connections=settings.pool_max,
            timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # A time-out is not repeated: a hung server would only be waited for three times.
            retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), RETRIES, (RedisConnectionError,)),
            health_check_interval=30,
            client_name=prefix,
            protocol=2,  # the newer protocol's push messages are of no use here, and an ACL may refuse them
        )
        self._redis = Client(connection_pool=self._pool)

    def key(self, name: str) -> str:
        """Return the full name of one of the service's keys, for scripts and pipelines on ``client``."""
        return f"{self._prefix}:{name}"

    @property
    def client(self) -> Client:
        """Return the driver's client; its errors are the driver's own."""
        return self._redis

    async def execute(self, command: str, key: str, *arguments: str | bytes | float) -> Any:
        """Run a command on one of the service's keys. Raises ``DependencyAwayError``."""
        if self.last is not None and not self.up:
            raise DependencyAwayError(self.name, self.last.error)  # known to be away: do not keep the caller waiting
        try:
            try:
                return await self._redis.execute_command(command, self.key(key), *arguments)
            except AuthenticationError:
                await self._source.refused(self._provider.last)
                return await self._redis.execute_command(command, self.key(key), *arguments)
        except AWAY as error:
            self.doubt()
            raise DependencyAwayError(self.name, explain(error)) from error

    async def get(self, key: str) -> bytes | None:
        """Return what is kept under ``key``."""
        return await self.execute("GET", key)

    async def put(self, key: str, value: str | bytes, seconds: int) -> None:
        """Keep ``value`` for ``seconds``."""
        await self.execute("SETEX", key, seconds, value)

    async def drop(self, key: str) -> None:
        """Forget ``key``."""
        await self.execute("DEL", key)

    async def count(self, key: str, by: int = 1, seconds: int = 0) -> int:
        """Add ``by`` to a counter and return its value; with ``seconds``, one that ends so long after its start."""
        value = int(await self.execute("INCRBY", key, by))
        if seconds and value == by:
            await self.execute("EXPIRE", key, seconds)
        return value

    async def ping(self) -> None:
        """Ask with Redis' own PING."""
        try:
            await self._redis.execute_command("PING")
        except AuthenticationError:
            await self._source.refused(self._provider.last)
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._pool.aclose()

    def connections(self) -> dict[str, int]:
        """Return the pool's size by state."""
        idle, in_use = (count for count, _ in self._pool.get_connection_count())
        return {"in_use": in_use, "idle": idle, "max": self._pool.max_connections}
