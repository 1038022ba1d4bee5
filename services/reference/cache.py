"""Redis: a client whose pool reconnects with back-off, and the cache-aside and counters the service keeps there."""

from __future__ import annotations

from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from services.reference.dependency import Dependency, DependencyAwayError, explain
from services.reference.settings import RedisSettings

#: Seconds for a connect, an answer, a free connection. A cache that is slower than this is no help.
TIMEOUT = 1.0
#: A connection that a restart cut is replaced and the command repeated, this often.
RETRIES = 2
AWAY = (RedisError, OSError)


class _PasswordFile(CredentialProvider):
    """Reads the password for each connection, so that a rotation is seen."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._settings.password()
        return (self._settings.user, password) if self._settings.user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


class Cache(Dependency):
    """The service's Redis. Keys start with the service's name, so that an ACL can be given per service."""

    name = "redis"

    def __init__(self, settings: RedisSettings, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix
        self._pool = BlockingConnectionPool(
            host=settings.host,
            port=settings.port,
            db=settings.database,
            credential_provider=_PasswordFile(settings),
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
        self._redis = Redis(connection_pool=self._pool)

    async def get(self, key: str) -> bytes | None:
        """Return what is cached under ``key``. Raises ``DependencyAwayError``."""
        return await self._call("GET", key)

    async def put(self, key: str, value: str, seconds: int) -> None:
        """Keep ``value`` for ``seconds``. Raises ``DependencyAwayError``."""
        await self._call("SETEX", key, seconds, value)

    async def drop(self, key: str) -> None:
        """Forget ``key``. Raises ``DependencyAwayError``."""
        await self._call("DEL", key)

    async def count(self, key: str, by: int) -> int:
        """Add ``by`` to a counter and return its value. Raises ``DependencyAwayError``."""
        return int(await self._call("INCRBY", key, by))

    async def ping(self) -> None:
        """Ask with Redis' own PING."""
        await self._redis.execute_command("PING")

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._pool.aclose()

    def connections(self) -> dict[str, int]:
        """Return the pool's size by state."""
        idle, in_use = (count for count, _ in self._pool.get_connection_count())
        return {"in_use": in_use, "idle": idle, "max": self._pool.max_connections}

    async def _call(self, command: str, key: str, *arguments: str | int) -> Any:
        if self.last is not None and not self.up:
            raise DependencyAwayError(self.name, self.last.error)  # known to be away: do not keep the caller waiting
        try:
            return await self._redis.execute_command(command, f"{self._prefix}:{key}", *arguments)
        except AWAY as error:
            self.doubt()
            raise DependencyAwayError(self.name, explain(error)) from error
