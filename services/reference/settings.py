"""What the service is told by its environment (``NEXUS_*``). Secrets are not among it, only the files they are in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "NEXUS_"

Port = Annotated[int, Field(ge=1, le=65535, description="a port number, 1 to 65535")]
Name = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="lower-case letters, digits and hyphens, a letter first")
]


def _readable(value: object) -> object:
    path = Path(str(value))
    if not path.is_file():
        raise ValueError("no such file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"the file cannot be read by uid {os.getuid()}")
    return path


SecretFile = Annotated[
    Path,
    BeforeValidator(_readable),
    Field(description="the path of a readable file whose content is the password; it is read again on each connection"),
]


class _Server(BaseModel):
    """What both servers need: where they are, and the file that holds the password."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1, description="the server's name or address")]
    password_file: SecretFile

    def password(self) -> str:
        """Return the password as the file has it now, so that a rotation needs no restart. Raises ``OSError``."""
        return self.password_file.read_text(encoding="utf-8").strip()


class PostgresSettings(_Server):
    """``NEXUS_POSTGRES_*``; the service needs PostgreSQL when the host is given."""

    port: Port = 5432
    database: Annotated[str, Field(min_length=1, description="the database's name")] = "nexus"
    user: Annotated[str, Field(min_length=1, description="the role to connect as")] = "nexus"
    pool_max: Annotated[int, Field(ge=1, le=100, description="connections at most, 1 to 100")] = 5


class RedisSettings(_Server):
    """``NEXUS_REDIS_*``; the service needs Redis when the host is given. No user means Redis' ``default``."""

    port: Port = 6379
    database: Annotated[int, Field(ge=0, le=15, description="a database number, 0 to 15")] = 0
    user: Annotated[str, Field(description="the ACL user")] = ""
    pool_max: Annotated[int, Field(ge=1, le=1000, description="connections at most, 1 to 1000")] = 10


class Settings(BaseSettings):
    """Everything the service can be told. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
    )

    service: Name
    stack: Name
    bind: Annotated[str, Field(description="the address to listen on")] = "0.0.0.0"  # noqa: S104 - in a container
    port: Port = 8000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: str(value).lower()),
        Field(description="debug, info, warning or error"),
    ] = "info"
    cache_seconds: Annotated[int, Field(ge=1, le=3600, description="how long an item is cached, 1 to 3600 s")] = 30
    stop_seconds: Annotated[int, Field(ge=1, le=300, description="time to finish requests at a stop, 1 to 300 s")] = 10
    postgres: PostgresSettings | None = None
    redis: RedisSettings | None = None


class SettingsError(Exception):
    """The environment is not usable; the text names each value, the rule it breaks and the remedy."""


def load() -> Settings:
    """Read the settings from the process's environment. Raises ``SettingsError``."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue] - the environment gives the required ones
    except ValidationError as error:
        lines = [_explain(item["loc"], item["type"], item["msg"]) for item in error.errors(include_url=False)]
        raise SettingsError("The service's settings cannot be used:\n" + "\n".join(lines)) from None


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return the names that start with ``NEXUS_`` and mean nothing here: most likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for group, model in (("POSTGRES", PostgresSettings), ("REDIS", RedisSettings)):
        known |= {f"{PREFIX}{group}_{name.upper()}" for name in model.model_fields}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _explain(location: tuple[str | int, ...], kind: str, message: str) -> str:
    name = PREFIX + "_".join(str(part) for part in location).upper()
    if kind == "extra_forbidden":
        return (
            f"  {name}: there is no such setting. Remove it or correct its name (docs/reference-service.md lists all)."
        )
    rule = _rule(location) or message
    if kind == "missing":
        return f"  {name} is missing: it must be {rule}. Set it in the container's environment."
    reason = message.removeprefix("Value error, ")
    value = os.environ.get(name, "")
    return f"  {name} = {value!r}: {reason}; it must be {rule}. Correct it in the container's environment."


def _rule(location: tuple[str | int, ...]) -> str | None:
    model: type[BaseModel] = Settings
    if len(location) > 1:
        model = {"postgres": PostgresSettings, "redis": RedisSettings}[str(location[0])]
    field = model.model_fields.get(str(location[len(location) - 1]))
    return field.description if field else None
