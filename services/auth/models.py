"""What the provider knows: users, clients, codes and families of refresh tokens."""

# What pyright knows of authlib's models is narrower than what authlib accepts and returns.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from authlib.oauth2.rfc6749 import ClientMixin
from pydantic import BaseModel, ConfigDict

#: Bytes of what must not be guessed: codes, refresh tokens, session ids.
ENTROPY = 32
#: A program takes whatever port is free (RFC 8252, 7.3); the registered address has none.
_LOOPBACK = re.compile(r"^(http://(?:127\.0\.0\.1|\[::1\])):[0-9]{1,5}(?=/)")


def digest(secret: str) -> str:
    """What is stored of a random secret; a fast hash will do, as nobody can try 2^256 values."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """A random secret that is safe in URLs."""
    return secrets.token_urlsafe(ENTROPY)


@dataclass(frozen=True, slots=True)
class User:
    """A person. ``password_hash`` never leaves this process."""

    id: UUID
    username: str
    name: str
    email: str | None
    active: bool
    roles: tuple[str, ...]
    password_hash: str = field(repr=False)
    seed: str | None = field(default=None, repr=False)

    def get_user_id(self) -> str:
        """The ``sub`` claim."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):
    """An application. Without a secret it is public, and PKCE is what ties its codes to it."""

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    secret_digest: str | None = field(default=None, repr=False)

    @property
    def public(self) -> bool:
        """Whether it cannot keep a secret."""
        return self.secret_digest is None

    @property
    def client_metadata(self) -> dict[str, Any]:
        """What the logout endpoint looks up."""
        return {"post_logout_redirect_uris": list(self.post_logout_redirect_uris)}

    def get_client_id(self) -> str:
        """See ``ClientMixin``."""
        return self.id

    def get_default_redirect_uri(self) -> str | None:
        """None: a request has to name it (OpenID Connect Core, 3.1.2.1)."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Those of the scopes asked for that the client may have."""
        return " ".join(part for part in (scope or "").split() if part in self.scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """By simple string comparison (RFC 9700, 2.1), but for the port of a program on the user's own machine."""
        return redirect_uri in self.redirect_uris or _LOOPBACK.sub(r"\1", redirect_uri) in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """In constant time; a public client has none that could be right."""
        return self.secret_digest is not None and hmac.compare_digest(self.secret_digest, digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A client with a secret has to use it."""
        return (method == "none") == self.public

    def check_response_type(self, response_type: str) -> bool:
        """Codes alone: tokens do not belong into URLs."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """See ``ClientMixin``."""
        return grant_type in self.grants


class Code(BaseModel):
    """An authorization code's content; it lives in Redis for a minute."""

    model_config = ConfigDict(frozen=True)

    client_id: str
    user_id: UUID
    session: str
    family: UUID
    redirect_uri: str
    scope: str
    auth_time: int
    nonce: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None

    def get_redirect_uri(self) -> str:
        """See ``AuthorizationCodeMixin``."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """See ``AuthorizationCodeMixin``."""
        return self.scope


@dataclass(frozen=True, slots=True)
class Family:
    """All that came of one code: its tokens end together. ``token`` is the digest of the refresh token in hand."""

    id: UUID
    client_id: str
    user_id: UUID
    session: str
    scope: str
    auth_time: int
    expires_at: datetime
    ended_at: datetime | None = None
    token: str = ""

    def check_client(self, client: Client) -> bool:
        """Whether the client may use it."""
        return self.client_id == client.id

    def get_scope(self) -> str:
        """What was granted."""
        return self.scope
