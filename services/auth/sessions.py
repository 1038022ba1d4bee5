"""What lives in Redis for a while: browsers' sessions, authorization codes, access tokens taken back."""

from __future__ import annotations

import time
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.auth.models import Code, digest, new_secret
from services.auth.settings import AuthSettings
from services.common.redis import Redis


class ReplayedError(Exception):
    """An authorization code came a second time: one of its two bearers stole it."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.client_id)
        self.code = code


class Session(BaseModel):
    """One browser of one user. ``key`` is the digest of what its cookie holds."""

    model_config = ConfigDict(frozen=True)

    key: str
    user_id: UUID
    auth_time: int
    csrf: str


class Sessions:
    """Every method may raise ``DependencyAwayError``: without Redis nobody logs in, and nobody is taken for another."""

    def __init__(self, redis: Redis, settings: AuthSettings) -> None:
        self._redis, self._settings = redis, settings

    async def start(self, user_id: UUID) -> tuple[Session, str]:
        """Begin a session; the second part goes into the cookie, and nowhere else."""
        secret, seconds = new_secret(), self._settings.session_seconds
        session = Session(key=digest(secret), user_id=user_id, auth_time=int(time.time()), csrf=new_secret())
        await self._redis.put(f"session:{session.key}", session.model_dump_json(), seconds)
        await self._redis.execute("SADD", f"sessions:{user_id}", session.key)
        await self._redis.execute("EXPIRE", f"sessions:{user_id}", seconds)
        return session, secret

    async def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie, if it still runs."""
        found = await self._redis.get(f"session:{digest(cookie)}") if cookie else None
        return Session.model_validate_json(found) if found else None

    async def end(self, key: str) -> None:
        """End one session."""
        found = await self._redis.execute("GETDEL", f"session:{key}")
        if found:
            user = Session.model_validate_json(found).user_id
            await self._redis.execute("SREM", f"sessions:{user}", key)

    async def end_all(self, user_id: UUID) -> None:
        """End all sessions of a user."""
        for key in await self._redis.execute("SMEMBERS", f"sessions:{user_id}"):
            await self._redis.execute("DEL", f"session:{key.decode()}")
        await self._redis.execute("DEL", f"sessions:{user_id}")

    async def keep_code(self, code: str, content: Code) -> None:
        """Have a code be good once, for a moment."""
        await self._redis.put(f"code:{digest(code)}", content.model_dump_json(), self._settings.code_seconds)

    async def take_code(self, code: str, client_id: str) -> Code | None:
        """Use a code up. Raises ``ReplayedError`` when it has been used before."""
        key = digest(code)
        found = await self._redis.get(f"code:{key}")
        content = Code.model_validate_json(found) if found else None
        if content is None or content.client_id != client_id:
            return None  # another client's try must not use it up
        taken = await self._redis.execute("SET", f"used:{key}", "1", "EX", self._settings.code_seconds + 1, "NX")
        if not taken:
            raise ReplayedError(content)
        return content

    async def take_back(self, jti: str, seconds: int) -> None:
        """Have an access token no longer count here, for the rest of its life."""
        await self._redis.put(f"revoked:{jti}", "1", max(1, seconds))

    async def was_taken_back(self, jti: str) -> bool:
        """Whether ``take_back`` was called for it."""
        return await self._redis.get(f"revoked:{jti}") is not None
