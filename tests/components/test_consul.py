"""Consul as it is declared: who holds which token, and what is listed of a service."""

from __future__ import annotations

import json
import uuid

import pytest

from components import _consul_rules as rules
from components._connections import Endpoint
from components.consul import MONITOR_CONFIG, MONITOR_SETTINGS, Consul, ConsulArgs, ConsulSpec, token_of
from components.registration import Registration, RegistrationSpec
from components.workload import ContainerEngine, Port
from infra import images
from tests.components.recorder import Recorder, declare

CONTAINER = "docker:index/container:Container"


def spec(**more: object) -> ConsulSpec:
    contracts = {"contract": images.contract("consul"), "monitor": images.contract("consul-esm")}
    known = {
        "stack": "dev",
        "memory_mib": 128,
        "port": Port(container=8500, host=3000),
        "grants": {"vault": rules.ISSUER},
    }
    return ConsulSpec(**{**contracts, **known, **more})


def program(**more: object) -> Recorder:
    args = ConsulArgs(image="consul", monitor_image="esm", network="network", engine=ContainerEngine())
    return declare(lambda: Consul("consul", spec(**more), args))


@pytest.fixture(scope="module")
def declared() -> Recorder:
    return program()


def held(recorder: Recorder, name: str) -> dict[str, str]:
    return recorder.one(f"{name}-files").inputs["files"]


def of(holder: str) -> str:
    return token_of(f"secret-of-consul-{holder}-token")


def test_tokens_are_uuids_that_tell_nothing_of_each_other() -> None:
    assert uuid.UUID(of("management")) != uuid.UUID(of("vault"))
    assert token_of("a") == token_of("a") != token_of("b")


def test_nothing_is_allowed_without_a_token_and_dns_is_off(declared: Recorder) -> None:
    configuration = json.loads(held(declared, "consul")["consul.json"])
    assert configuration["acl"]["enabled"] is True
    assert configuration["acl"]["default_policy"] == "deny"
    assert configuration["acl"]["tokens"] == dict.fromkeys(("initial_management", "agent"), of("management"))
    assert configuration["ports"]["dns"] == -1
    assert configuration["telemetry"]["prometheus_retention_time"]


def test_a_grant_is_a_policy_and_a_token_of_one_name(declared: Recorder) -> None:
    files = held(declared, "consul")
    assert json.loads(files["vault.policy"]) == {"Name": "vault", "Rules": rules.ISSUER}
    token = json.loads(files["vault.token"])
    assert (token["SecretID"], token["Policies"]) == (of("vault"), [{"Name": "vault"}])
    assert token["AccessorID"] not in (of("vault"), of("management"))
    assert json.loads(files["consul-esm.policy"])["Rules"] == rules.MONITOR


def test_the_monitor_has_its_own_token_and_no_other(declared: Recorder) -> None:
    assert held(declared, "consul-esm") == {"consul-token": of("consul-esm"), MONITOR_CONFIG: MONITOR_SETTINGS}
    assert "CONSUL_HTTP_TOKEN_FILE=/run/secrets/consul-token" in declared.one("consul-esm-server").inputs["envs"]


def test_a_token_is_in_files_alone(declared: Recorder) -> None:
    tokens = [of(holder) for holder in ("management", "vault", "consul-esm")]
    for resource in declared.of(CONTAINER):
        assert not any(token in str(resource.inputs) for token in tokens), resource.name


def test_a_new_grant_changes_live_files_and_no_container(declared: Recorder) -> None:
    more = program(grants={"vault": rules.ISSUER, "reader": rules.READER})
    assert [c.inputs for c in more.of(CONTAINER)] == [c.inputs for c in declared.of(CONTAINER)]
    assert {"reader.policy", "reader.token"} <= set(more.one("consul-files").inputs["live"])


def test_a_rotation_makes_every_token_anew(declared: Recorder) -> None:
    secrets = "nexus:index:GeneratedSecret"
    assert all(not secret.inputs.get("keepers") for secret in declared.of(secrets))
    rotated = program(generation=2).of(secrets)
    assert len(rotated) == 3
    assert all(secret.inputs["keepers"] == {"generation": "2"} for secret in rotated)


def test_each_instance_of_a_service_is_a_node_with_its_own_check() -> None:
    endpoint = Endpoint(name="web", host="web", port=8000, hosts=("web", "web-2"))
    seen = declare(lambda: Registration("web-discovery", RegistrationSpec(stack="dev"), endpoint))
    nodes = {node.inputs["address"]: node.inputs["name"] for node in seen.of("consul:index/node:Node")}
    assert nodes == {"web": "nexus-dev-web", "web-2": "nexus-dev-web-2"}
    for service in seen.of("consul:index/service:Service"):
        (check,) = service.inputs["checks"]
        assert (service.inputs["name"], service.inputs["node"]) == ("web", nodes[service.inputs["address"]])
        assert check["http"] == f"http://{service.inputs['address']}:8000/health"
        assert (check["interval"], check["timeout"]) == ("10s", "3s")
    (policy,) = seen.of("consul:index/aclPolicy:AclPolicy")
    assert policy.inputs["name"] == rules.policy_name("web")


def test_a_services_rules_name_no_other_service() -> None:
    text = rules.of_service("web")
    assert text.count('policy = "write"') == 2
    assert 'service "web" { policy = "write" }' in text
    assert 'key_prefix "services/web/" { policy = "write" }' in text
