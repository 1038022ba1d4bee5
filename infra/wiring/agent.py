"""The wiring of the gateway's agent: its identity in Vault, and where it finds both servers."""

from __future__ import annotations

import pulumi

from components.gateway_agent import IDENTITY, GatewayAgent, GatewayAgentArgs, GatewayAgentSpec
from components.identity import Identity, IdentityArgs, IdentitySpec
from components.kong import ADMIN_USER, Kong
from components.vault import Vault
from components.vault_engines import VaultEngines
from infra import images
from infra.platform import Platform
from infra.wiring import secrets

IMAGE = "service"
#: The address by which users on the host reach the gateway, beside its names.
LOCAL_ADDRESS = "127.0.0.1"


def gateway_agent(platform: Platform, kong: Kong) -> GatewayAgent:
    """The agent. It waits for what it needs by itself: Vault's engines, its identity, the gateway's consumers."""
    vault = platform.find("vault", Vault)
    identity = Identity(
        f"{IDENTITY}-identity",
        IdentitySpec(service=IDENTITY, policies=(IDENTITY,), generation=platform.rotation("identities")),
        IdentityArgs(engines=platform.find(secrets.ENGINES, VaultEngines), store=vault.running.data),
        pulumi.ResourceOptions(providers=[platform.vault_provider]),
    )
    spec = GatewayAgentSpec(
        stack=platform.stack,
        contract=images.contract(IDENTITY),
        vault=vault.internal,
        kong=f"http://{kong.running.host}:{images.contract('kong').ports['admin']}",
        kong_user=ADMIN_USER,
        roles=tuple(sorted(platform.settings.roles)),
        names=(*secrets.gateway_names(platform.settings.public_url), LOCAL_ADDRESS),
    )
    args = GatewayAgentArgs(**platform.runtime(IMAGE), secret_id=identity.secret_id, kong_password=kong.admin_password)
    return GatewayAgent(IDENTITY, spec, args)
