"""What an environment may set: the keys of ``Pulumi.<stack>.yaml``. The only module that reads ``pulumi.Config``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, IPvAnyAddress, SecretStr, StringConstraints, ValidationError, model_validator

from components._naming import check_stack
from infra import versions
from infra.entry import Count, Objective, Seconds, Share
from infra.errors import ConfigError, first_problem
from infra.model import Model, Secret
from infra.receivers import Receiver

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "nexus:"
#: Set by `./nexus` (and `./nexus env`) after it has looked which of the two is reachable.
SOURCE_VARIABLE = "NEXUS_SOURCE"
#: What is declared with a generation, so that a higher one makes it anew: logins of PostgreSQL, users of Redis and
#: RabbitMQ, the secret ids by which services log in to Vault, passwords of the users that settings name, the data
#: servers' certificates.
Rotated = Literal["postgres", "redis", "rabbitmq", "consul", "vault", "identities", "users", "api-keys", "certificates"]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class User(Model):
    """A person who can sign in. The password is made once and kept in Vault, at `secret/users/<name>`."""

    email: str = Field(default="", description="Shown to the services the person uses.")
    roles: tuple[Role, ...] = Field(default=("user",), description="Of `nexus:roles`.")


class Client(Model):
    """An application that signs people in, or itself. A confidential one's secret is at `secret/clients/<name>`."""

    redirect_uris: tuple[str, ...] = Field(default=(), description="Where a signed-in person is sent back to.")
    post_logout_redirect_uris: tuple[str, ...] = Field(
        default=(), description="Where a person who signed out is sent back to."
    )
    grants: tuple[Literal["authorization_code", "refresh_token", "client_credentials"], ...] = Field(
        default=("authorization_code", "refresh_token"), description="How it gets tokens."
    )
    roles: tuple[Role, ...] = Field(default=(), description="Its own, for `client_credentials`.")
    confidential: bool = Field(default=False, description="Has a secret; a page or a program on a desk has none.")


class Leases(Model):
    """How long what Vault lends is valid: the logins of services to PostgreSQL, RabbitMQ and Consul."""

    ttl: int = Field(default=3600, ge=10, le=86400, description="Seconds; renewed after two thirds of them.")
    max_ttl: int = Field(default=86400, ge=20, le=2592000, description="Seconds after which a new one is made.")
    certificates: int = Field(
        default=2592000,
        ge=60,
        le=31536000,
        description="Seconds the gateway's certificate is valid; renewed at two thirds.",
    )
    server_certificates: int = Field(
        default=31536000,
        ge=60,
        le=31536000,
        description="Seconds a data server's certificate is valid; an `up` in the last third renews it.",
    )


class Upstream(Model):
    """The OpenAI-compatible server behind the service `ai`."""

    url: str = Field(default="", description="Up to and with its version, such as `https://api.example.com/v1`.")
    model: str = Field(default="", description="The model asked for where the caller names none.")
    key: Secret = Field(
        default=SecretStr(""),
        description="Set with `pulumi config set --secret --path nexus:ai.key`, which encrypts it; kept in Vault.",
    )


class AlertSettings(Model):
    """What one environment changes of a service's alerts; what is not named stays as the catalogue has it."""

    objective: Objective | None = Field(default=None, description="Share of requests answered without a server error.")
    error_ratio: Share | None = Field(default=None, description="Share of server errors within 5 minutes.")
    p99: Seconds | None = Field(default=None, description="Seconds within which 99 of 100 requests are answered.")
    memory: Share | None = Field(default=None, description="Share of its memory limit that an instance may hold.")
    in_flight: Count | None = Field(default=None, description="Requests that an instance may answer at a time.")
    queue: Count | None = Field(default=None, description="Messages that may wait in its queue.")
    silenced: tuple[str, ...] | None = Field(default=None, description="Alerts of which nobody is told.")


class ServiceSettings(Model):
    """What one environment changes of a catalogue entry (``nexus:services: {NAME: {...}}``)."""

    enabled: bool | None = Field(default=None, description="Run this service in this environment.")
    memory: int | None = Field(default=None, gt=0, description="Memory limit in MiB.")
    cpus: float | None = Field(default=None, gt=0, le=64, description="CPU limit.")
    replicas: int | None = Field(default=None, ge=1, le=20, description="Instances, within the entry's `scale`.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Host port, before `portOffset` is added.")
    image: str | None = Field(default=None, description="An image of `infra/images.yaml`, or any image reference.")
    acknowledged: tuple[str, ...] | None = Field(
        default=None,
        description="Revisions of its schema that may lose data, or that only a newer version knows; else refused.",
    )
    alerts: AlertSettings | None = Field(default=None, description="Limits of its alerts; see below.")


class Settings(Model):
    """Everything an environment may set, under the ``nexus:`` namespace."""

    version: int = Field(
        default=versions.FIRST,
        description="The form of this file; `./nexus upgrade settings` brings an older one to the newest.",
    )
    images: Literal["auto", "upstream", "local"] = Field(
        default="auto",
        description="Where images come from: pulled (`upstream`), built from the recipes (`local`), or whichever "
        "`./nexus` found to be possible (`auto`). `--source` overrides it.",
    )
    registry: str = Field(
        default="",
        description="A registry mirror to pull upstream images from, as a prefix such as `mirror.example.com:5000`.",
    )
    bind: IPvAnyAddress = Field(
        default_factory=lambda: IPvAnyAddress("127.0.0.1"),  # type: ignore[operator]
        description="The host address the gateway's proxy ports are published on.",
    )
    admin_bind: IPvAnyAddress = Field(
        default_factory=lambda: IPvAnyAddress("127.0.0.1"),  # type: ignore[operator]
        description="The host address of every other port. Anything but loopback exposes databases and admin APIs.",
    )
    port_offset: int = Field(
        default=0, ge=0, le=57000, description="Added to every host port, so that environments share a host."
    )
    engine: Literal["containers", "swarm"] = Field(
        default="containers",
        description="What runs the platform: `containers` of one Docker engine, or services of a Docker `swarm`.",
    )
    tls: Literal["optional", "redirect"] = Field(
        default="optional", description="At the gateway: `redirect` answers plain HTTP with the HTTPS address."
    )
    tls_data: bool = Field(
        default=False,
        description="PostgreSQL, Redis and RabbitMQ take encrypted connections alone, by certificates of Vault's that "
        "each client checks.",
    )
    public_url: str = Field(
        default="", description="The gateway's address for its users. Default: `https://localhost:<proxy_tls port>`."
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Web origins whose pages may call the gateway; none by default."
    )
    roles: dict[Role, tuple[Role, ...]] = Field(
        default={"admin": ("operator",), "operator": ("user",), "user": ()},
        description="Roles, each with those it includes.",
    )
    users: dict[UserName, User] = Field(
        default={"admin": User(roles=("admin",))}, description="Who can sign in at first, by name."
    )
    clients: dict[ClientId, Client] = Field(
        default={"nexus": Client(redirect_uris=("http://localhost:8765/callback",))},
        description="Applications that may sign people in, by client id.",
    )
    api_keys: dict[Role, Role] = Field(
        default_factory=dict,
        description="API keys by name, each with the role it stands for; kept in Vault, at `secret/api-keys/<name>`.",
    )
    leases: Leases = Field(default=Leases(), description="Life of lent credentials; see below.")
    ai: Upstream = Field(default=Upstream(), description="The AI upstream; see below.")
    receivers: dict[Role, Receiver] = Field(
        default_factory=dict, description="Who is told of alerts, by name; nobody by default. See below."
    )
    rotations: dict[Rotated, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="How often each was rotated; `./nexus rotate` counts it up."
    )
    protect: bool = Field(default=False, description="Refuse to delete what holds data, until this is false again.")
    services: dict[str, ServiceSettings] = Field(
        default_factory=dict, description="Changes to catalogue entries, by service name."
    )

    @model_validator(mode="after")
    def _roles_exist(self) -> Settings:
        named = {included for roles in self.roles.values() for included in roles}
        named |= {role for one in (*self.users.values(), *self.clients.values()) for role in one.roles}
        named |= set(self.api_keys.values())
        if unknown := sorted(named - self.roles.keys()):
            raise ValueError(f"role {unknown[0]!r} is not in nexus:roles; known: {', '.join(sorted(self.roles))}")
        return self

    @property
    def source(self) -> Literal["upstream", "local"]:
        """Where images come from in this run: what `./nexus` was told or found (NEXUS_SOURCE), else the setting."""
        chosen = os.environ.get(SOURCE_VARIABLE) or self.images
        return "local" if chosen == "local" else "upstream"


def file_of(stack: str) -> str:
    """The settings file of a stack, relative to the project."""
    return f"Pulumi.{stack}.yaml"


def parse(values: Mapping[str, Any], file: str) -> Settings:
    """Settings from the ``nexus:`` keys of ``values``; raises ConfigError naming ``file`` and the field."""
    own = {key.removeprefix(NAMESPACE): value for key, value in values.items() if key.startswith(NAMESPACE)}
    stack = file.removeprefix("Pulumi.").removesuffix(".yaml")
    versions.SETTINGS.check(own.get("version", versions.FIRST), file, stack)
    try:
        return Settings.model_validate(own)
    except ValidationError as error:
        raise first_problem(error, file, prefix=f"config.{NAMESPACE}") from None


def load(stack: str) -> Settings:
    """Settings of a stack from its file alone, without Pulumi; raises ConfigError."""
    check_name(stack)
    file = file_of(stack)
    path = ROOT / file
    if not path.exists():
        there = sorted(p.name.split(".")[1] for p in ROOT.glob("Pulumi.*.yaml"))
        raise ConfigError(
            file,
            "stack",
            stack,
            "has no settings file",
            f"Stacks with one: {', '.join(there)}. Copy one of them to {file}.",
        )
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(file, f"line {line}", error.problem, "is not valid YAML", "Correct the line.") from None
    return parse(document.get("config") or {}, file)


def from_pulumi(stack: str) -> Settings:
    """Settings of the running program: the same keys, as the engine hands them over."""
    from pulumi.runtime.config import CONFIG  # noqa: PLC0415  the public Config can only be asked for known keys

    check_name(stack)
    return parse({key: decode(value) for key, value in CONFIG.get().items()}, file_of(stack))


def decode(text: str) -> Any:
    """The engine hands every value over as text, structured ones as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_name(stack: str) -> None:
    """Raise ConfigError when a stack's name cannot become part of Docker names."""
    try:
        check_stack(stack)
    except ValueError as error:
        raise ConfigError("command line", "stack", stack, str(error), "Choose another name for the stack.") from None
