"""Slows guessing down: wrong passwords are counted in Redis, by account and by address."""

from __future__ import annotations

from dataclasses import dataclass

from services.auth.models import digest
from services.auth.settings import LockSettings
from services.common.redis import Redis

#: A count starts anew after this many of the longest waits without a try; one alone would make waiting pay.
MEMORY = 2


class LockedError(Exception):
    """Too many wrong passwords; ``seconds`` says when the next try is looked at."""

    def __init__(self, what: str, seconds: int) -> None:
        super().__init__(f"{what} for {seconds} s")
        self.what, self.seconds = what, seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to log in; it counts as wrong until it is known to be right."""

    account: str
    address: str


class Lock:
    """The counters. Names and addresses are stored as digests."""

    def __init__(self, redis: Redis, settings: LockSettings) -> None:
        self._redis, self._settings = redis, settings
        self._memory = MEMORY * settings.longest

    async def begin(self, username: str, address: str) -> Attempt:
        """Count a try before its password is looked at, so that many at once gain nothing. Raises ``LockedError``."""
        attempt = Attempt(digest(username.strip().lower()), digest(address))
        kinds = (
            ("account", attempt.account, self._settings.account_free),
            ("address", attempt.address, self._settings.address_free),
        )
        for kind, key, _ in kinds:
            if (left := await self._redis.execute("PTTL", f"wait:{kind}:{key}")) > 0:
                raise LockedError(kind, -(-left // 1000))
        for kind, key, free in kinds:
            await self._count(kind, key, free)
        return attempt

    async def right(self, attempt: Attempt) -> None:
        """The password was right: the account's count starts anew, the address gets this one try back.

        Its other tries and its wait stay: with an account of one's own one could else try many others' for nothing.
        """
        await self.unlock(attempt.account)
        await self._redis.execute("DECR", f"tries:address:{attempt.address}")
        await self._redis.execute("EXPIRE", f"tries:address:{attempt.address}", self._memory)

    async def unlock(self, account: str) -> None:
        """Forget an account's wrong passwords; ``account`` is the digest of its name."""
        await self._redis.execute("DEL", f"tries:account:{account}")
        await self._redis.execute("DEL", f"wait:account:{account}")

    async def _count(self, kind: str, key: str, free: int) -> None:
        count = int(await self._redis.execute("INCR", f"tries:{kind}:{key}"))
        await self._redis.execute("EXPIRE", f"tries:{kind}:{key}", self._memory)
        over = count - free
        if over < 0:
            return
        wait = min(self._settings.first * 2 ** min(over, 30), self._settings.longest)
        taken = await self._redis.execute("SET", f"wait:{kind}:{key}", "1", "EX", wait, "NX")
        if over > 0 and not taken:
            raise LockedError(kind, wait)  # another try of the same moment began the wait
