"""The gateway's agent as it is declared."""

from __future__ import annotations

import json

import pulumi

from components.gateway_agent import GatewayAgent, GatewayAgentArgs, GatewayAgentSpec, workload
from components.workload import ContainerEngine
from infra import images
from services.gateway_agent.settings import load
from tests.components.recorder import declare

SPEC = GatewayAgentSpec(
    stack="t",
    contract=images.contract("gateway-agent"),
    vault="http://vault:8200",
    kong="http://kong:8001",
    kong_user="nexus",
    roles=("admin", "user"),
    names=("localhost", "127.0.0.1"),
)


def test_the_agent_understands_what_it_is_told() -> None:
    told = load(workload(SPEC).env)
    assert (told.vault, told.kong, told.kong_user) == (SPEC.vault, SPEC.kong, SPEC.kong_user)
    assert (told.roles, told.names) == (SPEC.roles, SPEC.names)
    assert str(told.secret_id_file) == "/run/secrets/vault-secret-id"
    assert str(told.kong_password_file) == "/run/secrets/kong-admin-password"


def test_its_secrets_are_files_alone_and_new_ones_are_taken_over_running() -> None:
    def program() -> None:
        args = GatewayAgentArgs(
            image="image",
            network="network",
            engine=ContainerEngine(),
            secret_id=pulumi.Output.secret("the-secret-id"),
            kong_password=pulumi.Output.secret("the-password"),
        )
        GatewayAgent("gateway-agent", SPEC, args)

    made = declare(program)
    files = made.one("gateway-agent-files").inputs
    assert files["files"] == {"vault-secret-id": "the-secret-id", "kong-admin-password": "the-password"}
    assert sorted(files["live"]) == sorted(files["files"])
    container = json.dumps(made.one("gateway-agent-server").inputs)
    assert "the-secret-id" not in container
    assert "the-password" not in container
    assert not made.one("gateway-agent-server").inputs.get("ports")
