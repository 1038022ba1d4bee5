"""The wiring of secrets: Vault, and what it offers to the services of this environment."""

from __future__ import annotations

from urllib.parse import urlsplit

import pulumi

from components.vault import Vault, VaultSpec
from components.vault_engines import EnginesArgs, EnginesSpec, VaultEngines
from components.workload import ServerArgs
from infra import images
from infra.entry import Service
from infra.platform import Platform

#: The names by which users on the host reach the gateway, whatever its public address is.
LOCAL_NAMES = ("localhost",)


def vault(platform: Platform, entry: Service) -> Vault:
    """Vault and its keeper."""
    spec = VaultSpec(
        stack=platform.stack,
        contract=images.contract("vault"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "http"),
    )
    return Vault(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))


def engines(platform: Platform, args: EnginesArgs, opts: pulumi.ResourceOptions) -> VaultEngines:
    """The engines for the servers this environment has; ``args`` has Vault's own passwords for them."""
    leases = platform.settings.leases
    spec = EnginesSpec(
        stack=platform.stack,
        postgres=address(platform, "postgres", "sql"),
        rabbitmq=address(platform, "rabbitmq", "management", "http://"),
        consul=address(platform, "consul", "http"),
        lease_ttl=leases.ttl,
        lease_max_ttl=leases.max_ttl,
        certificate_ttl=leases.certificates,
        gateway_names=gateway_names(platform.settings.public_url),
    )
    return VaultEngines("vault-engines", spec, args, opts)


def address(platform: Platform, name: str, port: str, scheme: str = "") -> str | None:
    """Where a server is reached on the platform's network, if this environment has it."""
    if name not in platform.made:
        return None
    return f"{scheme}{name}:{images.contract(name).ports[port]}"


def gateway_names(public_url: str) -> tuple[str, ...]:
    """The names in the gateway's certificate: of its public address, and of this host."""
    public = urlsplit(public_url).hostname
    return tuple(dict.fromkeys([*([public] if public else []), *LOCAL_NAMES]))
