"""What is in the tokens."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from services.auth.keys import ACCESS, IDENTITY, SigningKeys
from services.auth.models import Client, User
from services.auth.settings import AuthSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token says beyond whom it is for: ``family`` and ``auth_time`` are those of a user's login."""

    client: Client
    user: User | None
    scope: str
    family: str = ""
    auth_time: int = 0
    nonce: str | None = None


class Tokens:
    """Makes access and identity tokens."""

    def __init__(self, keys: SigningKeys, settings: AuthSettings) -> None:
        self._keys, self._settings = keys, settings

    async def access(self, grant: Grant) -> str:
        """An access token (RFC 9068). ``gw`` names the gateway's credential: the highest role and the key."""
        version = await self._keys.current()
        held = grant.user.roles if grant.user else grant.client.roles
        claims = {
            **self._frame(grant, self._settings.public_url),
            "client_id": grant.client.id,
            "scope": grant.scope,
            "roles": list(self._settings.expanded(held)),
            "gw": f"{self._settings.highest(held)}:{version.kid}",
        }
        return await self._keys.sign(version, claims, ACCESS)

    async def identity(self, grant: Grant, access_token: str) -> str:
        """An identity token (OpenID Connect Core, 2). Without ``gw``, so the gateway refuses it."""
        assert grant.user is not None
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            **self._frame(grant, grant.client.id),
            **profile(grant.user, grant.scope, self._settings),
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            "auth_time": grant.auth_time,
        }
        if grant.nonce:
            claims["nonce"] = grant.nonce
        return await self._keys.sign(await self._keys.current(), claims, IDENTITY)

    def _frame(self, grant: Grant, audience: str) -> dict[str, Any]:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._settings.issuer,
            "sub": grant.user.get_user_id() if grant.user else grant.client.id,
            "aud": audience,
            "iat": now,
            "exp": now + self._settings.access_seconds,
            "jti": uuid4().hex,
        }
        return claims | ({"sid": grant.family} if grant.family else {})


def profile(user: User, scope: str, settings: AuthSettings) -> dict[str, Any]:
    """What the scopes say of a user (OpenID Connect Core, 5.4)."""
    scopes, claims = scope.split(), {"sub": user.get_user_id()}
    if "profile" in scopes:
        claims |= {"preferred_username": user.username, "name": user.name or user.username}
    if "email" in scopes and user.email:
        claims |= {"email": user.email}
    if "roles" in scopes:
        return {**claims, "roles": list(settings.expanded(user.roles))}
    return claims
