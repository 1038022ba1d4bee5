"""What Vault offers to services: engines for credentials and keys, and the way to log in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components import _vault_policies as policies
from components._vault_policies import APPROLE, CONSUL, DATABASE, KV, RABBITMQ, TRANSIT

if TYPE_CHECKING:
    import pulumi_vault as vault

HOUR = 3600
#: Of PostgreSQL's connections, what Vault may take: it makes one role at a time.
DATABASE_CONNECTIONS = 2


class EnginesSpec(BaseModel):
    """What to set up; known at plan time. A server that is None has no engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    postgres: str | None = Field(default=None, description="host:port")
    rabbitmq: str | None = Field(default=None, description="URL of the management API")
    consul: str | None = Field(default=None, description="host:port")
    user: str = Field(default="vault", description="of Vault itself, in PostgreSQL and RabbitMQ")
    lease_ttl: int = Field(default=HOUR, ge=10)
    lease_max_ttl: int = Field(default=24 * HOUR, ge=20)
    authority: str | None = Field(
        default=None, description="file in Vault's container by which PostgreSQL's certificate is checked; else plain"
    )


@dataclass(frozen=True, kw_only=True)
class EnginesArgs:
    """The secrets by which Vault administers the servers, and where all this is kept."""

    postgres_password: pulumi.Input[str] | None = None
    rabbitmq_password: pulumi.Input[str] | None = None
    consul_token: pulumi.Input[str] | None = None
    store: pulumi.Resource | None = None


class VaultEngines(pulumi.ComponentResource):
    """Engines, policies and the AppRole method. Its provider comes with ``opts``.

    ``mounts`` has the path of each engine and of the method, known once it can be given roles.
    """

    spec: EnginesSpec
    mounts: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, spec: EnginesSpec, args: EnginesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:VaultEngines", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=args.store)
        self.spec = spec
        login = approle(name, child)
        write_policies(name, login.accessor, child)
        self.mounts = {
            APPROLE: login.path,
            KV: mount(name, KV, "kv", child, options={"version": "2"}).path,
            TRANSIT: mount(name, TRANSIT, "transit", child).path,
        }
        if spec.postgres:
            self.mounts[DATABASE] = database(name, spec, args, child)
        if spec.rabbitmq:
            self.mounts[RABBITMQ] = broker(name, spec, args, child)
        if spec.consul:
            self.mounts[CONSUL] = registry(name, spec, args, child)
        self.register_outputs({})


def approle(name: str, opts: pulumi.ResourceOptions) -> vault.AuthBackend:
    """The method by which services log in."""
    import pulumi_vault as vault  # noqa: PLC0415  a provider's SDK takes a third of a second: only where it is used

    return vault.AuthBackend(f"{name}-approle", type="approle", path=APPROLE, opts=opts)


def mount(
    name: str, path: str, kind: str, opts: pulumi.ResourceOptions, **settings: pulumi.Input[object]
) -> vault.Mount:
    """An engine of its kind at a path."""
    import pulumi_vault as vault  # noqa: PLC0415

    return vault.Mount(f"{name}-{path}", path=path, type=kind, opts=opts, **settings)  # type: ignore[arg-type]


def write_policies(name: str, accessor: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
    """The policies. The services' needs the method's accessor, which Vault makes up."""
    import pulumi_vault as vault  # noqa: PLC0415

    service = accessor.apply(lambda known: policies.document(policies.service_rules(known)))
    texts = {policies.SERVICE_POLICY: service} | {n: policies.document(rules) for n, rules in policies.EXTRA.items()}
    for policy, text in texts.items():
        vault.Policy(f"{name}-policy-{policy}", name=policy, policy=text, opts=opts)


def database(name: str, spec: EnginesSpec, args: EnginesArgs, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The engine that makes logins to PostgreSQL. Like those below, it does not ask its server while it is set up."""
    import pulumi_vault as vault  # noqa: PLC0415

    checked = f"verify-full&sslrootcert={spec.authority}" if spec.authority else "disable"
    connection = vault.database.SecretBackendConnection(
        f"{name}-postgres",
        backend=mount(name, DATABASE, "database", opts).path,
        name="postgres",
        allowed_roles=["*"],
        verify_connection=False,
        postgresql=vault.database.SecretBackendConnectionPostgresqlArgs(
            connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@{spec.postgres}/postgres?sslmode={checked}",
            username=spec.user,
            password=args.postgres_password,
            password_authentication="scram-sha-256",  # noqa: S106  hashed by Vault: PostgreSQL logs no password
            max_open_connections=DATABASE_CONNECTIONS,
        ),
        opts=opts,
    )
    return connection.backend


def broker(name: str, spec: EnginesSpec, args: EnginesArgs, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The engine that makes users of RabbitMQ."""
    import pulumi_vault as vault  # noqa: PLC0415

    assert spec.rabbitmq is not None
    engine = vault.rabbitmq.SecretBackend(
        f"{name}-rabbitmq",
        path=RABBITMQ,
        connection_uri=spec.rabbitmq,
        username=spec.user,
        password=args.rabbitmq_password,
        verify_connection=False,
        default_lease_ttl_seconds=spec.lease_ttl,
        max_lease_ttl_seconds=spec.lease_max_ttl,
        opts=opts,
    )
    return known_path(engine.path)


def registry(name: str, spec: EnginesSpec, args: EnginesArgs, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The engine that makes tokens of Consul."""
    import pulumi_vault as vault  # noqa: PLC0415

    engine = vault.consul.SecretBackend(
        f"{name}-consul", path=CONSUL, address=spec.consul, scheme="http", token=args.consul_token, opts=opts
    )
    return known_path(engine.path)


def known_path(path: pulumi.Output[str | None]) -> pulumi.Output[str]:
    """A path that is an optional input of its type, and is given here."""
    return path.apply(lambda given: given or "")
