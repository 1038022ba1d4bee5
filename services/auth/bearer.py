"""Who calls with an access token: for this provider's own resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import HTTPException, Request

from services.auth.keys import ACCESS, BadTokenError
from services.auth.models import User
from services.auth.server import State


@dataclass(frozen=True, slots=True)
class Caller:
    """The token's claims, and its user as the database has them now; None for an application on its own behalf."""

    claims: dict[str, Any]
    user: User | None
    roles: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the audit log."""
        return self.user.username if self.user else str(self.claims["client_id"])


async def caller(state: State, request: Request) -> Caller:
    """Check the request's token. Raises 401."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise HTTPException(401, "This needs an access token.", {"WWW-Authenticate": "Bearer"})
    try:
        claims = await state.keys.verify(token.strip(), ACCESS, state.settings.issuer)
        found = await living(state, claims)
    except BadTokenError as error:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, "The access token is not valid.", challenge) from error
    return found


async def living(state: State, claims: dict[str, Any]) -> Caller:
    """What stands behind a token, which may have ended before it. Raises ``BadTokenError``."""
    if await state.sessions.was_taken_back(claims["jti"]):
        raise BadTokenError("taken back")
    if "sid" not in claims:
        client = await state.families.client(claims["client_id"])
        if client is None:
            raise BadTokenError("the client is gone")
        return Caller(claims, None, state.settings.expanded(client.roles))
    family = await state.families.family(UUID(claims["sid"]))
    if family is None or family.ended_at is not None:
        raise BadTokenError("logged out")
    user = await state.users.by_id(UUID(claims["sub"]))
    if user is None or not user.active:
        raise BadTokenError("the user may no longer log in")
    return Caller(claims, user, state.settings.expanded(user.roles))
