"""What the provider can be told: ``NEXUS_PUBLIC_URL`` names it, ``NEXUS_SETTINGS`` holds the rest as JSON."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.common.settings import PREFIX, Settings, SettingsError, role_settings

#: Each role with those it includes, as `nexus:roles` has them.
ROLES = {"admin": ("operator",), "operator": ("user",), "user": ()}
SCOPES = ("openid", "profile", "email", "roles")


class LockSettings(BaseModel):
    """How guessing is slowed down: after ``free`` wrong passwords the wait doubles from ``first`` to ``longest``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_free: Annotated[int, Field(ge=1, le=100, description="wrong passwords for one account at no cost")] = 5
    address_free: Annotated[int, Field(ge=1, le=1000, description="wrong passwords from one address at no cost")] = 30
    first: Annotated[int, Field(ge=1, le=3600, description="the first wait, in seconds")] = 2
    longest: Annotated[int, Field(ge=1, le=86400, description="the longest wait, in seconds")] = 900


class AuthSettings(BaseModel):
    """The provider's numbers. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_url: Annotated[str, Field(description="the gateway as callers see it; from NEXUS_PUBLIC_URL")]
    path: Annotated[str, Field(pattern=r"^(/[a-z0-9._-]+)*$", description="where the gateway publishes it")] = (
        "/api/v1/auth"
    )
    signing_key: Annotated[str, Field(min_length=1, description="Vault transit key")] = "auth-signing"
    #: Short, as the gateway cannot know of a logout before the token's end (RFC 9700, 2.2.1).
    access_seconds: Annotated[int, Field(ge=30, le=3600)] = 300
    #: Of a family, however often it is refreshed.
    refresh_seconds: Annotated[int, Field(ge=60, le=31_536_000)] = 1_209_600
    session_seconds: Annotated[int, Field(ge=60, le=604_800)] = 28_800
    #: RFC 6749, 4.1.2: at most ten minutes; a browser needs a second.
    code_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    #: How old a new version of the signing key is before it signs: the gateway must have loaded it by then.
    key_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    seed_refresh_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    roles: Annotated[dict[str, tuple[str, ...]], Field(description="roles, each with those it includes")] = ROLES
    admin_role: Annotated[str, Field(min_length=1, description="the role that manages users")] = "admin"
    lock: LockSettings = LockSettings()

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an http(s) URL, such as https://localhost:4300")
        return value.rstrip("/")

    @property
    def issuer(self) -> str:
        """The provider's name, and where its documents are."""
        return self.public_url + self.path

    @property
    def origin(self) -> str:
        """What a browser sends as ``Origin`` from the provider's own pages."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def secure(self) -> bool:
        """Whether browsers reach it through TLS, so that cookies may be limited to that."""
        return self.public_url.startswith("https:")

    def expanded(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """All roles someone has, those that are included too."""
        found, waiting = set[str](), list(roles)
        while waiting:
            if (role := waiting.pop()) not in found:
                found.add(role)
                waiting += self.roles.get(role, ())
        return tuple(sorted(found))

    def highest(self, roles: tuple[str, ...]) -> str:
        """The role that includes most, which the gateway's consumer is named after; ``none`` is none of them."""
        known = [role for role in sorted(roles) if role in self.roles]
        return max(known, key=lambda role: len(self.expanded((role,))), default="none")


def load(settings: Settings) -> AuthSettings:
    """Read the role's own settings. Raises ``SettingsError``."""
    missing = [name for name in ("public_url", "vault", "postgres", "redis") if getattr(settings, name) is None]
    if missing:
        names = ", ".join({"public_url": "PUBLIC_URL"}.get(name, f"{name.upper()}_*") for name in missing)
        raise SettingsError(f"Role auth needs {PREFIX}({names}). Set it in the container's environment.")
    own = {**settings.settings, "public_url": settings.public_url}
    return role_settings(settings.model_copy(update={"settings": own}), AuthSettings)
