"""One service's identity in Vault: how it logs in, and what is lent, kept and encrypted under its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._resources import rotated
from components._vault_policies import APPROLE, CONSUL, DATABASE, KV, RABBITMQ, SERVICE_POLICY, SIGNING_KEY, TRANSIT
from components.vault_engines import VaultEngines

#: A token lives this long without being renewed: a service that is gone loses its access, and with it all it was lent.
TOKEN_PERIOD = 3600
KEY_ROTATION = 30 * 24 * 3600
#: The login acts as the owner, so that what it makes belongs to the database and not to a login that expires.
CREATE_LOGIN = (
    """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE "OWNER\"""",
    """ALTER ROLE "{{name}}" SET role = "OWNER\"""",
)
REMOVE_LOGIN = ('DROP ROLE IF EXISTS "{{name}}"',)


class BrokerAccess(BaseModel):
    """What a login to RabbitMQ may do in a virtual host: regular expressions over the names of its objects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vhost: str
    configure: str = "^$"
    write: str = "^$"
    read: str = "^$"


class IdentitySpec(BaseModel):
    """What a service has in Vault; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    policies: tuple[str, ...] = Field(default=(), description="beside the one of all services")
    database_owner: str | None = None
    broker: BrokerAccess | None = None
    consul_policies: tuple[str, ...] = ()
    encrypts: bool = Field(default=False, description="has a key of its own")
    generation: int = Field(default=0, ge=0, description="rotations of the secret id")
    signs: bool = Field(default=False, description="has the key by which tokens are signed")


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """``entries`` are written to ``secret/services/<service>/<key>``; ``store`` is where Vault keeps all this."""

    engines: VaultEngines
    entries: Mapping[str, pulumi.Input[Mapping[str, str]]] = field(default_factory=dict)
    store: pulumi.Resource | None = None


class Identity(pulumi.ComponentResource):
    """The identity. Its provider comes with ``opts``.

    ``secret_id`` is what the service logs in with; its role id is its name. It is known before Vault is, so that the
    service's container need not wait for it.
    """

    secret_id: pulumi.Output[str]

    def __init__(
        self, name: str, spec: IdentitySpec, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Identity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=args.store)
        secret = rotated(f"{name}-secret-id", spec.generation, pulumi.ResourceOptions(parent=self))
        self.secret_id = secret.value
        at = Place(name, spec, args.engines, child)
        at.login(secret.value)
        at.lent()
        at.keys()
        for key, entry in args.entries.items():
            at.entry(key, entry)
        self.register_outputs({"roleId": spec.service})


@dataclass(frozen=True)
class Place:
    """Where a service's resources go: under its component, each as soon as its engine is there."""

    name: str
    spec: IdentitySpec
    engines: VaultEngines
    opts: pulumi.ResourceOptions

    def login(self, secret_id: pulumi.Output[str]) -> None:
        """The AppRole role, whose name the policy goes by, and its secret id."""
        import pulumi_vault as vault  # noqa: PLC0415

        service = self.spec.service
        role = vault.approle.AuthBackendRole(
            f"{self.name}-role",
            backend=self.engines.mounts[APPROLE],
            role_name=service,
            role_id=service,
            token_policies=[SERVICE_POLICY, *self.spec.policies],
            token_no_default_policy=True,
            token_period=TOKEN_PERIOD,
            opts=self.opts,
        )
        vault.approle.AuthBackendRoleSecretId(
            f"{self.name}-login", backend=role.backend, role_name=role.role_name, secret_id=secret_id, opts=self.opts
        )

    def lent(self) -> None:
        """The roles by which logins to PostgreSQL, RabbitMQ and Consul are made."""
        import pulumi_vault as vault  # noqa: PLC0415

        spec, ttl, max_ttl = self.spec, self.engines.spec.lease_ttl, self.engines.spec.lease_max_ttl
        if spec.database_owner:
            vault.database.SecretBackendRole(
                f"{self.name}-database",
                backend=self.engines.mounts[DATABASE],
                name=spec.service,
                db_name="postgres",
                creation_statements=[line.replace("OWNER", spec.database_owner) for line in CREATE_LOGIN],
                revocation_statements=list(REMOVE_LOGIN),
                default_ttl=ttl,
                max_ttl=max_ttl,
                opts=self.opts,
            )
        if spec.broker:
            vault.rabbitmq.SecretBackendRole(
                f"{self.name}-broker",
                backend=self.engines.mounts[RABBITMQ],
                name=spec.service,
                vhosts=[
                    vault.rabbitmq.SecretBackendRoleVhostArgs(
                        host=spec.broker.vhost,
                        configure=spec.broker.configure,
                        write=spec.broker.write,
                        read=spec.broker.read,
                    )
                ],
                opts=self.opts,
            )
        if spec.consul_policies:
            vault.consul.SecretBackendRole(
                f"{self.name}-registry",
                backend=self.engines.mounts[CONSUL],
                name=spec.service,
                consul_policies=list(spec.consul_policies),
                ttl=ttl,
                max_ttl=max_ttl,
                opts=self.opts,
            )

    def keys(self) -> None:
        """The keys that Vault uses for the service. They go away with it: what they encrypted is then lost."""
        if self.spec.encrypts:
            self._key("key", self.spec.service, "aes256-gcm96")
        if self.spec.signs:
            self._key("signing-key", SIGNING_KEY, "rsa-2048")

    def _key(self, label: str, key: str, kind: str) -> None:
        import pulumi_vault as vault  # noqa: PLC0415

        vault.transit.SecretBackendKey(
            f"{self.name}-{label}",
            backend=self.engines.mounts[TRANSIT],
            name=key,
            type=kind,
            auto_rotate_period=KEY_ROTATION,
            deletion_allowed=True,
            opts=self.opts,
        )

    def entry(self, key: str, values: pulumi.Input[Mapping[str, str]]) -> None:
        """A secret that only the service reads."""
        entry(f"{self.name}-{key}", f"services/{self.spec.service}/{key}", values, self.engines, self.opts)


def entry(
    name: str,
    path: str,
    values: pulumi.Input[Mapping[str, str]],
    engines: VaultEngines,
    opts: pulumi.ResourceOptions,
) -> None:
    """Write a secret to ``secret/<path>``. It is not read back, as the stack's token may not."""
    import pulumi_vault as vault  # noqa: PLC0415

    vault.kv.SecretV2(
        name,
        mount=engines.mounts[KV],
        name=path,
        data_json=pulumi.Output.secret(pulumi.Output.from_input(values).apply(lambda known: json.dumps(dict(known)))),
        delete_all_versions=True,
        disable_read=True,
        opts=opts,
    )
