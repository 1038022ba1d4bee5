"""The wiring of secrets: Vault, and what it offers to the services of this environment."""

from __future__ import annotations

from urllib.parse import urlsplit

import pulumi

from components.accounts import Accounts, AccountsArgs, AccountsSpec, Client, User
from components.consul import Consul
from components.postgres import Postgres
from components.rabbitmq import Rabbitmq
from components.vault import Vault, VaultSpec
from components.vault_engines import EnginesArgs, EnginesSpec, VaultEngines
from components.workload import ServerArgs
from infra import images
from infra.entry import Service
from infra.platform import Platform
from infra.wiring import discovery

ENGINES, ACCOUNTS = "vault-engines", "accounts"
#: Vault's own user of the servers it makes logins for.
ADMINISTRATOR = "vault"
#: The names by which users on the host reach the gateway, whatever its public address is.
LOCAL_NAMES = ("localhost",)


def vault(platform: Platform, entry: Service) -> Vault:
    """Vault and its keeper, its engines, and the accounts whose passwords it keeps."""
    spec = VaultSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
        generation=platform.rotation("vault"),
    )
    server = platform.made[entry.name] = Vault(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))
    made = platform.made[ENGINES] = engines(platform, server)
    people = AccountsSpec(
        users={name: User(roles=user.roles, email=user.email) for name, user in platform.settings.users.items()},
        clients={name: Client(**client.model_dump()) for name, client in platform.settings.clients.items()},
        api_keys=tuple(platform.settings.api_keys),
        generation=platform.rotation("users"),
        key_generation=platform.rotation("api-keys"),
    )
    options = pulumi.ResourceOptions(providers=[platform.vault_provider])
    args = AccountsArgs(engines=made, store=server.running.data)
    platform.made[ACCOUNTS] = Accounts(ACCOUNTS, people, args, options)
    return server


def engines(platform: Platform, server: Vault) -> VaultEngines:
    """The engines for the servers this environment has, with Vault's own logins to them."""
    found = platform.made
    postgres, rabbitmq, consul = (found.get(name) for name in ("postgres", "rabbitmq", "consul"))
    args = EnginesArgs(
        postgres_password=postgres.logins[ADMINISTRATOR].password if isinstance(postgres, Postgres) else None,
        rabbitmq_password=rabbitmq.administrator.password if isinstance(rabbitmq, Rabbitmq) else None,
        consul_token=consul.tokens[discovery.ISSUER] if isinstance(consul, Consul) else None,
        store=server.running.data,
    )
    leases = platform.settings.leases
    spec = EnginesSpec(
        stack=platform.stack,
        postgres=address(platform, "postgres", "sql"),
        rabbitmq=address(platform, "rabbitmq", "management", "http://"),
        consul=address(platform, "consul", "http"),
        lease_ttl=leases.ttl,
        lease_max_ttl=leases.max_ttl,
        certificate_ttl=leases.certificates,
        gateway_names=gateway_names(platform.public_url),
    )
    return VaultEngines(ENGINES, spec, args, pulumi.ResourceOptions(providers=[platform.vault_provider]))


def address(platform: Platform, name: str, port: str, scheme: str = "") -> str | None:
    """Where a server is reached on the platform's network, if this environment has it."""
    if name not in platform.made:
        return None
    return f"{scheme}{name}:{images.contract(name).ports[port]}"


def gateway_names(public_url: str) -> tuple[str, ...]:
    """The names in the gateway's certificate: of its public address, and of this host."""
    public = urlsplit(public_url).hostname
    return tuple(dict.fromkeys([*([public] if public else []), *LOCAL_NAMES]))
