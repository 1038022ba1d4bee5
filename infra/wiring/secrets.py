"""The wiring of secrets: Vault, and what it offers to the services of this environment."""

from __future__ import annotations

from functools import partial

import pulumi

from components.accounts import Accounts, AccountsArgs, AccountsSpec, Client, User
from components.consul import Consul
from components.postgres import Postgres
from components.rabbitmq import Rabbitmq
from components.vault import TRUSTED, Vault, VaultSpec
from components.vault_engines import EnginesArgs, EnginesSpec, VaultEngines
from components.workload import ServerArgs
from infra import images
from infra.entry import Service
from infra.platform import Platform
from infra.wiring import certificates, discovery

ENGINES, ACCOUNTS = "vault-engines", "accounts"
#: Vault's own user of the servers it makes logins for.
ADMINISTRATOR = "vault"


def vault(platform: Platform, entry: Service) -> Vault:
    """Vault and its keeper, and the certificates it issues: data servers may wait for theirs."""
    spec = VaultSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
        generation=platform.rotation("vault"),
        trusting=platform.settings.tls_data,
    )
    server = platform.made[entry.name] = Vault(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))
    platform.made[certificates.CERTIFICATES] = certificates.certificates(platform, server)
    return server


def accounts(platform: Platform) -> Accounts:
    """The accounts whose passwords Vault keeps, made when first asked for."""
    if ACCOUNTS not in platform.made:
        people = AccountsSpec(
            users={name: User(roles=user.roles, email=user.email) for name, user in platform.settings.users.items()},
            clients={name: Client(**client.model_dump()) for name, client in platform.settings.clients.items()},
            api_keys=tuple(platform.settings.api_keys),
            generation=platform.rotation("users"),
            key_generation=platform.rotation("api-keys"),
        )
        args = AccountsArgs(engines=engines(platform), store=platform.find("vault", Vault).running.data)
        options = pulumi.ResourceOptions(providers=[platform.vault_provider])
        platform.made[ACCOUNTS] = Accounts(ACCOUNTS, people, args, options)
    return platform.find(ACCOUNTS, Accounts)


def engines(platform: Platform) -> VaultEngines:
    """The engines, made when first asked for: after the servers that Vault has logins to."""
    if ENGINES not in platform.made:
        platform.made[ENGINES] = _engines(platform, platform.find("vault", Vault))
    return platform.find(ENGINES, VaultEngines)


def _engines(platform: Platform, server: Vault) -> VaultEngines:
    """The engines for the servers this environment has, with Vault's own logins to them."""
    found, trusted = platform.made, partial(certificates.trusted, platform)
    postgres, rabbitmq, consul = (found.get(name) for name in ("postgres", "rabbitmq", "consul"))
    args = EnginesArgs(
        postgres_password=trusted(postgres.logins[ADMINISTRATOR].password) if isinstance(postgres, Postgres) else None,
        rabbitmq_password=trusted(rabbitmq.administrator.password) if isinstance(rabbitmq, Rabbitmq) else None,
        consul_token=consul.tokens[discovery.ISSUER] if isinstance(consul, Consul) else None,
        store=server.running.data,
    )
    leases, tls = platform.settings.leases, platform.settings.tls_data
    spec = EnginesSpec(
        stack=platform.stack,
        postgres=address(platform, "postgres", "sql"),
        rabbitmq=address(platform, "rabbitmq", *(("management-tls", "https://") if tls else ("management", "http://"))),
        consul=address(platform, "consul", "http"),
        lease_ttl=leases.ttl,
        lease_max_ttl=leases.max_ttl,
        authority=TRUSTED if tls else None,
    )
    return VaultEngines(ENGINES, spec, args, pulumi.ResourceOptions(providers=[platform.vault_provider]))


def address(platform: Platform, name: str, port: str, scheme: str = "") -> str | None:
    """Where a server is reached on the platform's network, if this environment has it."""
    if name not in platform.made:
        return None
    return f"{scheme}{name}:{images.contract(name).ports[port]}"
