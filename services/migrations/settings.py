"""What the program is told by its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FilePath, ValidationError

PREFIX = "NEXUS_"
#: PostgreSQL's names that need no quotes, so that none is ever needed.
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class SettingsError(Exception):
    """A setting is wrong; the text says which, its value and the rule."""


class Target(BaseModel):
    """A database, the role its tables belong to, its history, and the revisions that may lose data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: Identifier
    owner: Identifier
    history: Identifier
    acknowledged: tuple[str, ...] = ()


class Settings(BaseModel):
    """``NEXUS_MIGRATIONS`` (JSON: the targets); ``NEXUS_POSTGRES_HOST``, ``_PORT``, ``_USER``, ``_PASSWORD_FILE``.

    ``NEXUS_POSTGRES_CA_FILE`` is what the server's certificate is checked by; without it nothing is encrypted.
    """

    model_config = ConfigDict(frozen=True)

    migrations: tuple[Target, ...]
    postgres_host: str = "postgres"
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    postgres_user: Identifier = "migrator"
    postgres_password_file: Path = Path("/run/secrets/migrator-password")
    postgres_ca_file: FilePath | None = None

    @property
    def password(self) -> str:
        """Read when it is needed."""
        return self.postgres_password_file.read_text().strip()


def load(environment: Mapping[str, str]) -> Settings:
    """The settings; raises ``SettingsError``."""
    given = {name: environment[key] for name in Settings.model_fields if (key := PREFIX + name.upper()) in environment}
    try:
        targets = json.loads(given.get("migrations", "null"))
        settings = Settings.model_validate({**given, "migrations": targets})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = PREFIX + ".".join(str(part) for part in problem["loc"]).upper()
        raise SettingsError(f"{path}: {problem['msg']}, got {problem['input']!r}") from None
    except ValueError as error:
        raise SettingsError(f"{PREFIX}MIGRATIONS: must be JSON: {error}") from None
    databases = [target.database for target in settings.migrations]
    if twice := {name for name in databases if databases.count(name) > 1}:
        raise SettingsError(f"{PREFIX}MIGRATIONS: {', '.join(sorted(twice))} is there more than once")
    return settings
