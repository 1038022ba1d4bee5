"""What becomes of tokens: taking them back, asking about them, and logging out."""

# Authlib has no types of its own; those that pyright brings along are narrower than what it accepts and returns.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.rpinitiated import EndSessionEndpoint
from joserfc.jwk import KeySet

from services.auth import audit
from services.auth.bearer import living
from services.auth.families import ReusedError
from services.auth.keys import ACCESS, ALGORITHM, BadTokenError
from services.auth.models import Client, Family
from services.auth.server import Provider, ProviderRequest, State, wait

_METHODS = ["client_secret_basic", "client_secret_post", "none"]


@dataclass(frozen=True, slots=True)
class Held:
    """A token that a client holds: its claims, or its family for a refresh token."""

    client_id: str
    claims: dict[str, Any]
    family: Family | None = None

    def check_client(self, client: Client) -> bool:
        """Whether it is this client's."""
        return self.client_id == client.id

    def is_expired(self) -> bool:
        """No: such a one is not found."""
        return False

    def is_revoked(self) -> bool:
        """No: such a one is not found."""
        return False


async def find(state: State, token: str) -> Held | None:
    """The living token of a string, whatever kind the client says it is."""
    try:
        claims = await state.keys.verify(token, ACCESS, state.settings.issuer)
        await living(state, claims)
        return Held(claims["client_id"], claims)
    except BadTokenError:
        pass
    try:
        family = await state.families.family_of(token)
    except ReusedError:
        return None
    if family is None:
        return None
    claims = {"sub": str(family.user_id), "scope": family.scope, "exp": int(family.expires_at.timestamp())}
    return Held(family.client_id, claims | {"sid": str(family.id), "client_id": family.client_id}, family)


async def take_back(state: State, held: Held) -> None:
    """Void a token; a user's with all of its family."""
    if family := held.claims.get("sid"):
        await state.families.end("revoked", id=UUID(family))
    else:
        await state.sessions.take_back(held.claims["jti"], int(held.claims["exp"] - time.time()) + 1)
    audit.record("revoke", "success", client=held.client_id, family=family)


class Revocation(RevocationEndpoint):
    """RFC 7009."""

    CLIENT_AUTH_METHODS = _METHODS
    server: Provider

    def query_token(self, token_string: str, token_type_hint: str | None) -> Held | None:
        """See ``RevocationEndpoint``."""
        return wait(find, self.server.state, token_string)

    def revoke_token(self, token: Held, request: ProviderRequest) -> None:
        """See ``RevocationEndpoint``."""
        wait(take_back, self.server.state, token)


class Introspection(IntrospectionEndpoint):
    """RFC 7662, for clients that can keep a secret, about their own tokens."""

    CLIENT_AUTH_METHODS = _METHODS[:2]
    server: Provider

    def query_token(self, token_string: str, token_type_hint: str | None) -> Held | None:
        """See ``IntrospectionEndpoint``."""
        return wait(find, self.server.state, token_string)

    def check_permission(self, token: Held, client: Client, request: ProviderRequest) -> bool:
        """Whether the client may know: of its own tokens, or of all if it may have the scope ``introspect``."""
        return token.check_client(client) or "introspect" in client.scopes

    def introspect_token(self, token: Held) -> dict[str, Any]:
        """See ``IntrospectionEndpoint``."""
        shown = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "roles")
        kind = "refresh_token" if token.family else "Bearer"
        return {"token_type": kind, **{name: token.claims[name] for name in shown if name in token.claims}}


class EndSession(EndSessionEndpoint):
    """OpenID Connect RP-Initiated Logout 1.0."""

    server: Provider

    def get_server_jwks(self) -> KeySet:
        """The keys an identity token of ours may be signed with."""
        return KeySet.import_key_set(wait(self.server.state.keys.jwks))  # pyright: ignore[reportArgumentType]

    def get_algorithms(self) -> list[str]:
        """The one there is."""
        return [ALGORITHM]

    def end_session(self, end_session_request: Any) -> None:
        """End the session of the browser, or the one the identity token is of, with all its families."""
        session = end_session_request.request.session
        claims = end_session_request.id_token_claims or {}
        wait(end, self.server.state, session.key if session else None, claims.get("sid"))


async def end(state: State, session: str | None, sid: str | None) -> None:
    """Log out: the browser's session, and the one that a family belongs to."""
    keys = {session} if session else set[str]()
    if sid and (family := await state.families.family(UUID(sid))):
        keys.add(family.session)
    for key in keys:
        await state.sessions.end(key)
        ended = await state.families.end("logout", session=key)
        audit.record("logout", "success", families=len(ended))


def install(provider: Provider) -> None:
    """Register the endpoints."""
    for endpoint in (Revocation, Introspection, EndSession):
        provider.register_endpoint(endpoint)
