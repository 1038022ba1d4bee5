"""What the agent is told by its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("admin", "operator", "user")


class SettingsError(Exception):
    """The environment is not usable; the text says which variable and why."""


@dataclass(frozen=True)
class Settings:
    """``NEXUS_SETTINGS`` is a JSON object with ``roles``, ``names`` and, if need be, ``poll``."""

    service: str
    vault: str
    secret_id_file: Path
    kong: str
    kong_user: str = ""
    #: Read for each look, so that a new password needs no restart; None: the gateway asks for none.
    kong_password_file: Path | None = None
    #: Whose consumers the gateway has.
    roles: tuple[str, ...] = ROLES
    #: Names and addresses of the gateway in its certificate; none: it gets no certificate.
    names: tuple[str, ...] = ()
    #: Seconds between two looks; the provider signs with a new key a minute after it was made.
    poll: float = 10.0
    known: tuple[str, ...] = field(default=("roles", "names", "poll"), repr=False)


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises ``SettingsError``."""
    try:
        own = json.loads(environment.get("NEXUS_SETTINGS") or "{}")
        if unknown := sorted(own.keys() - set(Settings.known)):
            raise SettingsError(f"NEXUS_SETTINGS has {unknown[0]}, which means nothing here; remove it.")
        return Settings(
            service=environment.get("NEXUS_SERVICE", "gateway-agent"),
            vault=environment["NEXUS_VAULT_ADDRESS"],
            secret_id_file=Path(environment["NEXUS_VAULT_SECRET_ID_FILE"]),
            kong=environment["NEXUS_KONG_ADDRESS"],
            kong_user=environment.get("NEXUS_KONG_USER", ""),
            kong_password_file=Path(file) if (file := environment.get("NEXUS_KONG_PASSWORD_FILE")) else None,
            roles=tuple(own.get("roles", ROLES)),
            names=tuple(own.get("names", ())),
            poll=float(own.get("poll", Settings.poll)),
        )
    except KeyError as error:
        raise SettingsError(f"{error.args[0]} is missing; set it in the container's environment.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"NEXUS_SETTINGS must be a JSON object with roles, names and poll: {error}.") from None
