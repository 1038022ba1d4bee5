"""The gateway's agent: brings the keys of tokens and the gateway's certificate from Vault to the gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Running, ServerArgs, WorkloadArgs, WorkloadSpec

#: The agent's AppRole role in Vault, and the policy it needs there.
IDENTITY = "gateway-agent"
SECRET_ID, KONG_PASSWORD = "vault-secret-id", "kong-admin-password"  # the files' names
#: It has been there once: keys and certificate are at the gateway.
READY = ("test", "-e", "/tmp/synchronised")  # noqa: S108


class GatewayAgentSpec(BaseModel):
    """How the agent runs; known at plan time. ``names`` are those in the certificate, addresses among them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = IDENTITY
    vault: str = Field(pattern="^https?://", description="Vault's address on the platform's network")
    kong: str = Field(pattern="^https?://", description="the Admin API's address on the platform's network")
    kong_user: str = Field(min_length=1, description="whom the Admin API lets in")
    roles: tuple[str, ...] = Field(min_length=1, description="those the gateway has a consumer for")
    names: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class GatewayAgentArgs(ServerArgs):
    """``secret_id`` is what the agent logs in to Vault with, ``kong_password`` that of the Admin API's user."""

    secret_id: pulumi.Input[str]
    kong_password: pulumi.Input[str]


class GatewayAgent(pulumi.ComponentResource):
    """The agent. ``running.ready`` opens when the gateway has had its keys and its certificate."""

    running: Running

    def __init__(
        self, name: str, spec: GatewayAgentSpec, args: GatewayAgentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:GatewayAgent", name, None, opts)
        held = {SECRET_ID: args.secret_id, KONG_PASSWORD: args.kong_password}
        self.running = args.engine.run(
            name,
            workload(spec),
            WorkloadArgs(image=args.image, network=args.network, files=held),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def workload(spec: GatewayAgentSpec) -> WorkloadSpec:
    """The agent as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        kind="helper",
        contract=spec.contract,
        command=spec.contract.command,
        env={
            "NEXUS_SERVICE": IDENTITY,
            "NEXUS_VAULT_ADDRESS": spec.vault,
            "NEXUS_VAULT_SECRET_ID_FILE": spec.contract.secret(SECRET_ID),
            "NEXUS_KONG_ADDRESS": spec.kong,
            "NEXUS_KONG_USER": spec.kong_user,
            "NEXUS_KONG_PASSWORD_FILE": spec.contract.secret(KONG_PASSWORD),
            "NEXUS_SETTINGS": json.dumps({"roles": list(spec.roles), "names": list(spec.names)}),
        },
        memory_mib=minimum_memory(IDENTITY),
        ready=READY,
        live=(SECRET_ID, KONG_PASSWORD),
    )
