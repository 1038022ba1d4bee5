"""What a service is told by its environment (``NEXUS_*``). Secrets are not among it, only the files they are in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "NEXUS_"

M = TypeVar("M", bound=BaseModel)

Port = Annotated[int, Field(ge=1, le=65535, description="a port number, 1 to 65535")]
Name = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="lower-case letters, digits and hyphens, a letter first")
]
Host = Annotated[str, Field(min_length=1, description="the server's name or address")]
Url = Annotated[
    str,
    BeforeValidator(lambda value: str(value).rstrip("/")),
    Field(pattern=r"^https?://[^/\s]+", description="an http:// or https:// address"),
]
Role = Literal["items", "events", "transform", "search", "ai", "audit", "auth"]


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
    Field(description="the path of a readable file whose content is the secret; it is read again on each connection"),
]


CaFile = Annotated[
    Path,
    BeforeValidator(_readable),
    Field(description="the path of a readable file with the certificate (PEM) by which the server's is checked"),
]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VaultSettings(_Group):
    """``NEXUS_VAULT_*``; given, it is where the credentials come from. The AppRole's role id is the service's name."""

    address: Url
    secret_id_file: SecretFile


class _Server(_Group):
    """Connections are encrypted just when ``ca_file`` is given."""

    host: Host
    password_file: SecretFile | None = None
    ca_file: CaFile | None = None


class PostgresSettings(_Server):
    """``NEXUS_POSTGRES_*``; the service needs PostgreSQL when the host is given."""

    port: Port = 5432
    database: Annotated[str, Field(min_length=1, description="the database's name")] = "nexus"
    user: Annotated[str, Field(min_length=1, description="the role to connect as, with a password file")] = "nexus"
    pool_max: Annotated[int, Field(ge=1, le=100, description="connections at most, 1 to 100")] = 5


class RedisSettings(_Server):
    """``NEXUS_REDIS_*``; the service needs Redis when the host is given. No user means Redis' ``default``."""

    port: Port = 6379
    database: Annotated[int, Field(ge=0, le=15, description="a database number, 0 to 15")] = 0
    user: Annotated[str, Field(description="the ACL user, with a password file")] = ""
    pool_max: Annotated[int, Field(ge=1, le=1000, description="connections at most, 1 to 1000")] = 10


class RabbitmqSettings(_Server):
    """``NEXUS_RABBITMQ_*``; the service needs RabbitMQ when the host is given."""

    port: Port = 5672
    vhost: Annotated[str, Field(min_length=1, description="the virtual host")] = "nexus"
    queue: Annotated[str, Field(description="the queue the service consumes")] = ""
    user: Annotated[str, Field(min_length=1, description="the user to connect as, with a password file")] = "nexus"


class ConsulSettings(_Group):
    """``NEXUS_CONSUL_*``; given, the service finds others there. The token comes from Vault, or there is none."""

    address: Url


class AiSettings(_Group):
    """``NEXUS_AI_*``: the OpenAI-compatible upstream of role ``ai``; its key is in Vault."""

    url: Url
    model: Annotated[str, Field(min_length=1, description="the model's name")] = "default"


class Settings(BaseSettings):
    """Everything a service can be told. Times are in seconds."""

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
    role: Annotated[Role, Field(description="one of " + ", ".join(get_args(Role)))] = "items"
    bind: Annotated[str, Field(description="the address to listen on")] = "0.0.0.0"  # noqa: S104 - in a container
    port: Port = 8000
    public_url: Annotated[Url | None, Field(description="the gateway's address, http:// or https://")] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda value: str(value).lower()),
        Field(description="debug, info, warning or error"),
    ] = "info"
    cache_seconds: Annotated[int, Field(ge=1, le=3600, description="how long an answer is cached, 1 to 3600 s")] = 30
    stop_seconds: Annotated[int, Field(ge=1, le=300, description="time to finish requests at a stop, 1 to 300 s")] = 10
    settings: Annotated[Json[dict[str, Any]], Field(description="a JSON object with settings of the role")] = "{}"  # pyright: ignore[reportAssignmentType]
    vault: VaultSettings | None = None
    postgres: PostgresSettings | None = None
    redis: RedisSettings | None = None
    rabbitmq: RabbitmqSettings | None = None
    consul: ConsulSettings | None = None
    ai: AiSettings | None = None

    @model_validator(mode="after")
    def _credentials_come_from_somewhere(self) -> Settings:
        for name in ("postgres", "redis", "rabbitmq"):
            server = getattr(self, name)
            if server is not None and server.password_file is None and self.vault is None:
                raise ValueError(
                    f"{PREFIX}{name.upper()}_PASSWORD_FILE is missing: without {PREFIX}VAULT_ADDRESS the password"
                    " comes from a file. Set one of the two in the container's environment."
                )
        if self.ai is not None and self.vault is None:
            raise ValueError(
                f"{PREFIX}AI_URL needs {PREFIX}VAULT_ADDRESS: the upstream's key is in Vault. Set it as well."
            )
        return self


GROUPS: dict[str, type[BaseModel]] = {
    "vault": VaultSettings,
    "postgres": PostgresSettings,
    "redis": RedisSettings,
    "rabbitmq": RabbitmqSettings,
    "consul": ConsulSettings,
    "ai": AiSettings,
}


class SettingsError(Exception):
    """The environment is not usable; the text names each value, the rule it breaks and the remedy."""


def load() -> Settings:
    """Read the settings from the process's environment. Raises ``SettingsError``."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue] - the environment gives the required ones
    except ValidationError as error:
        lines = [_explain(item["loc"], item["type"], item["msg"]) for item in error.errors(include_url=False)]
        raise SettingsError("The service's settings cannot be used:\n" + "\n".join(lines)) from None


def role_settings(settings: Settings, model: type[M]) -> M:
    """Read ``NEXUS_SETTINGS`` as the role's own ``model``. Raises ``SettingsError``."""
    try:
        return model.model_validate(settings.settings)
    except ValidationError as error:
        lines = [f"  {PREFIX}SETTINGS, {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise SettingsError("The settings of the service's role cannot be used:\n" + "\n".join(lines)) from None


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return the names that start with ``NEXUS_`` and mean nothing here: most likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for group, model in GROUPS.items():
        known |= {f"{PREFIX}{group}_{name}".upper() for name in model.model_fields}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _explain(location: tuple[str | int, ...], kind: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not location:
        return f"  {message}"
    name = PREFIX + "_".join(str(part) for part in location).upper()
    if kind == "extra_forbidden":
        return (
            f"  {name}: there is no such setting. Remove it or correct its name (docs/reference-service.md lists all)."
        )
    rule = _rule(location) or message
    if kind == "missing":
        return f"  {name} is missing: it must be {rule}. Set it in the container's environment."
    value = os.environ.get(name, "")
    return f"  {name} = {value!r}: {message}; it must be {rule}. Correct it in the container's environment."


def _rule(location: tuple[str | int, ...]) -> str | None:
    model = GROUPS[str(location[0])] if len(location) > 1 else Settings
    field = model.model_fields.get(str(location[len(location) - 1]))
    return field.description if field else None
