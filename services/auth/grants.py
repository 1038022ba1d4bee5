"""The ways to a token: authorization code with PKCE, refresh token, client credentials."""

# Authlib has no types of its own; those that pyright brings along are narrower than what it accepts and returns.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

from typing import Any, ClassVar
from uuid import uuid4

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode

from services.auth import audit
from services.auth.families import ReusedError
from services.auth.models import Client, Code, Family, User, new_secret
from services.auth.server import Provider, ProviderRequest, State, wait
from services.auth.sessions import ReplayedError
from services.auth.tokens import Grant

_METHODS = ["client_secret_basic", "client_secret_post", "none"]


class _Issuing(grants.BaseGrant):
    """Makes the tokens; the engine's own generator does not know the request they are for."""

    request: ProviderRequest
    server: Provider

    @property
    def state(self) -> State:
        return self.server.state

    def generate_token(
        self,
        user: User | None = None,
        scope: str | None = None,
        grant_type: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        client: Client = self.request.client
        grant = self.granted(client, user, client.get_allowed_scope(scope))
        access = wait(self.state.tokens.access, grant)
        token = {"token_type": "Bearer", "access_token": access, "expires_in": self.state.settings.access_seconds}
        if include_refresh_token and user is not None:
            token["refresh_token"] = self.request.new_refresh_token = new_secret()
        if user is not None and "openid" in grant.scope.split():
            token["id_token"] = wait(self.state.tokens.identity, grant, access)
        return {**token, "scope": grant.scope}

    def granted(self, client: Client, user: User | None, scope: str) -> Grant:
        return Grant(client=client, user=user, scope=scope)


class _OfUser(_Issuing):
    """A grant whose ``credential`` is a code or a family of refresh tokens."""

    @property
    def credential(self) -> Code | Family:
        raise NotImplementedError

    def authenticate_user(self, credential: Code | Family) -> User | None:
        user = wait(self.state.users.by_id, credential.user_id)
        return user if user and user.active else None

    def granted(self, client: Client, user: User | None, scope: str) -> Grant:
        held = self.credential
        family = held.family if isinstance(held, Code) else held.id
        nonce = held.nonce if isinstance(held, Code) else None
        return Grant(client=client, user=user, scope=scope, family=str(family), auth_time=held.auth_time, nonce=nonce)


class AuthorizationCode(_OfUser, grants.AuthorizationCodeGrant):
    """RFC 6749, 4.1."""

    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    @property
    def credential(self) -> Code:
        """The code that came."""
        return self.request.authorization_code

    @staticmethod
    def validate_authorization_redirect_uri(request: ProviderRequest, client: Client) -> str:
        """The address, which has to be named, and registered."""
        wanted = request.payload.redirect_uri
        if not wanted or not client.check_redirect_uri(wanted):
            # Told on a page of ours: an address that is not the client's must not be gone to.
            raise InvalidRequestError("The redirect_uri is not one that is registered for the client.")
        return wanted

    def save_authorization_code(self, code: str, request: ProviderRequest) -> None:
        """Keep what the code stands for, for a moment."""
        data, session = request.payload.data, request.session
        assert session is not None
        content = Code(
            client_id=request.client.id,
            user_id=request.user.id,
            session=session.key,
            family=uuid4(),
            redirect_uri=data["redirect_uri"],
            scope=request.scope,
            auth_time=session.auth_time,
            nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
        )
        wait(self.state.sessions.keep_code, code, content)

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Use the code up; a second use ends what came of the first."""
        try:
            return wait(self.state.sessions.take_code, code, client.id)
        except ReplayedError as error:
            wait(self.state.families.end_of_code, error.code, "code replayed")
            audit.record("code", "replayed", client=client.id, user=error.code.user_id, family=error.code.family)
            return None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Used up already: taking it is what makes it good once."""

    def save_token(self, token: dict[str, Any]) -> None:
        """Begin the family."""
        code = self.credential
        if not wait(self.state.families.begin, code, self.request.new_refresh_token):
            raise InvalidGrantError("The code has been used before.")
        audit.record("token", "success", grant="code", client=code.client_id, user=code.user_id, family=code.family)


class RefreshToken(_OfUser, grants.RefreshTokenGrant):
    """RFC 6749, 6, with rotation and reuse detection (RFC 9700, 4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    @property
    def credential(self) -> Family:
        """The family of the token that came."""
        return self.request.refresh_token

    def authenticate_refresh_token(self, refresh_token: str) -> Family | None:
        """The family of a token; a used one ends it."""
        try:
            return wait(self.state.families.family_of, refresh_token)
        except ReusedError as error:
            self._end(error.family)
            raise InvalidGrantError("The refresh token has been used before; all of its family are void.") from None

    def authenticate_user(self, credential: Code | Family) -> User:
        """The user, if they may still log in."""
        if (user := super().authenticate_user(credential)) is None:
            raise InvalidGrantError("The user may no longer log in.")
        return user

    def save_token(self, token: dict[str, Any]) -> None:
        """Put the new refresh token in the old one's place."""
        family, new = self.credential, self.request.new_refresh_token
        assert new is not None
        try:
            wait(self.state.families.rotate, family, new)
        except ReusedError:
            self._end(family)
            raise InvalidGrantError("The refresh token has been used before; all of its family are void.") from None
        audit.record("token", "success", grant="refresh", client=family.client_id, family=family.id)

    def revoke_old_credential(self, refresh_token: Family) -> None:
        """Done by ``rotate``, in one statement with the new one's coming."""

    def _end(self, family: Family) -> None:
        async def end() -> None:
            await self.state.families.end("refresh token reused", id=family.id)

        wait(end)
        audit.record("refresh", "reused", client=family.client_id, user=family.user_id, family=family.id)


class ClientCredentials(_Issuing, grants.ClientCredentialsGrant):
    """RFC 6749, 4.4: an application on its own behalf."""

    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS[:2]

    def save_token(self, token: dict[str, Any]) -> None:
        """Store nothing: an access token is its own proof."""
        audit.record("token", "success", grant="client_credentials", client=self.request.client.id)


class Pkce(CodeChallenge):
    """RFC 7636: S256 alone, for every client that has no secret; those that have one may use it too."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def validate_code_challenge(self, grant: AuthorizationCode, redirect_uri: str) -> None:
        """Refuse a public client's request without a challenge, and any challenge that is not hashed."""
        data = grant.request.payload.data
        if grant.request.client.public and not data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        # Left out, the method would mean "plain" to other servers; to be clear, it has to be named.
        if data.get("code_challenge") and data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Unsupported 'code_challenge_method'")
        super().validate_code_challenge(grant, redirect_uri)


class OpenId(OpenIDCode):
    """OpenID Connect's part of an authorization request; its token is made with the others."""

    def exists_nonce(self, nonce: str, request: ProviderRequest) -> bool:
        """No: a code is good once and bound to its nonce, and it is the client who compares that."""
        return False

    def process_token(self, grant: _Issuing, response: object) -> None:
        """Do nothing: see ``_Issuing``."""


def install(provider: Provider) -> None:
    """Register all ways to a token."""
    provider.register_grant(AuthorizationCode, [Pkce(required=True), OpenId()])
    provider.register_grant(RefreshToken)
    provider.register_grant(ClientCredentials)
