"""Vault, its engines and identities, as they are declared."""

from __future__ import annotations

import json
import subprocess

import pulumi
import pytest

from components import _vault_policies as policies
from components import vault as server
from components.certificates import Certificates, CertificatesArgs, CertificatesSpec
from components.identity import BrokerAccess, Identity, IdentityArgs, IdentitySpec
from components.network import Network
from components.vault import Vault, VaultSpec
from components.vault_engines import EnginesArgs, EnginesSpec, VaultEngines
from components.workload import ContainerEngine, Port, ServerArgs
from infra import images
from infra.wiring.certificates import gateway_names
from tests.components.recorder import Recorder, Registered, declare

CONTAINER, POLICY = "docker:index/container:Container", "vault:index/policy:Policy"


def spec() -> VaultSpec:
    port = Port(container=8200, host=3500)
    return VaultSpec(stack="dev", contract=images.contract("vault"), memory_mib=256, port=port)


def program() -> None:
    network = Network("network", "dev")
    args = ServerArgs(image="sha256:vault", network=network.id, engine=ContainerEngine())
    made = Vault("vault", spec(), args)
    engines = VaultEngines(
        "engines",
        EnginesSpec(stack="dev", postgres="postgres:5432", rabbitmq="http://rabbitmq:15672", consul="consul:8500"),
        EnginesArgs(postgres_password="of-postgres", rabbitmq_password="of-rabbitmq", consul_token="of-consul"),
    )
    Certificates("engines", CertificatesSpec(stack="dev"), CertificatesArgs(server=made.running))
    full = IdentitySpec(
        service="one",
        database_owner="shop",
        broker=BrokerAccess(vhost="nexus", read="^one$"),
        consul_policies=("one",),
        encrypts=True,
    )
    identity = Identity(
        "one-identity",
        full,
        IdentityArgs(engines=engines, entries={"redis": {"password": "of-redis"}}, store=made.running.data),
    )
    Identity("two-identity", IdentitySpec(service="two"), IdentityArgs(engines=engines))
    pulumi.export("address", made.address)
    pulumi.export("secret_id", identity.secret_id)


@pytest.fixture(scope="module")
def seen() -> Recorder:
    return declare(program)


def named(seen: Recorder, host: str) -> Registered:
    return next(r for r in seen.of(CONTAINER) if r.inputs["hostname"] == host)


def test_the_keeper_is_a_helper_with_a_volume_of_its_own_and_the_stacks_token_as_a_file(seen: Recorder) -> None:
    keeper = named(seen, "vault-keeper").inputs
    labels = {label["label"]: label["value"] for label in keeper["labels"]}
    assert labels["nexus.kind"] == "helper"
    assert [volume["volumeName"] for volume in keeper["volumes"]] == [
        "nexus-dev-vault-keeper-files",
        "nexus-dev-vault-keeper-data",
    ]
    assert seen.one("vault-keeper-files").inputs["files"]["stack-token"] == "secret-of-vault-stack-token"
    assert "stack-token" not in seen.one("vault-files").inputs["files"], "the server is not told it"
    assert "ports" not in keeper or not keeper["ports"], "nobody reaches the keeper"


def test_no_secret_is_in_an_argument_or_the_environment(seen: Recorder) -> None:
    for container in seen.of(CONTAINER):
        assert "secret-of" not in str({k: v for k, v in container.inputs.items() if k != "labels"})


def test_the_garbage_collector_knows_the_limit_of_the_container(seen: Recorder) -> None:
    assert "GOMEMLIMIT=204MiB" in named(seen, "vault").inputs["envs"]


def test_a_server_with_too_little_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="memory_mib"):
        VaultSpec(stack="dev", contract=images.contract("vault"), memory_mib=64, port=Port(container=8200, host=1))


@pytest.mark.parametrize("script", [server.SERVER, server.KEEPER])
def test_the_scripts_are_valid_for_any_posix_shell(script: str) -> None:
    subprocess.run(["sh", "-n", str(server.HERE / script)], check=True)


def test_the_configuration_keeps_its_storage_on_the_data_volume() -> None:
    text = server.configuration(spec())
    assert 'path = "/vault/file/raft"' in text
    assert 'api_addr = "http://vault:8200"' in text


def test_a_service_may_only_reach_what_has_its_own_name() -> None:
    rules = policies.service_rules("auth_approle_1")
    name = "{{identity.entity.aliases.auth_approle_1.metadata.role_name}}"
    general = {
        "sys/leases/renew",
        "sys/leases/revoke",
        "auth/token/lookup-self",
        "auth/token/renew-self",
        "auth/token/revoke-self",
    }
    assert {path for path in rules if name not in path} == general
    assert not {verb for verbs in rules.values() for verb in verbs} - {"read", "update"}
    assert not [path for path in rules if "*" in path.replace(f"{name}/*", "")], "a wildcard beyond its own name"


def test_one_policy_serves_all_services(seen: Recorder) -> None:
    assert {r.inputs["name"] for r in seen.of(POLICY)} == {"service", "auth", "gateway-agent"}
    assert seen.one("two-identity-role").inputs["tokenPolicies"] == ["service"]


def test_nothing_waits_for_a_server_while_engines_are_set_up(seen: Recorder) -> None:
    connection = seen.one("engines-postgres").inputs
    assert connection["verifyConnection"] is False
    assert connection["postgresql"]["connectionUrl"].startswith("postgresql://{{username}}:{{password}}@postgres:5432/")
    assert seen.one("engines-rabbitmq").inputs["verifyConnection"] is False


def test_a_login_to_the_database_acts_as_its_owner_and_is_removed_with_its_lease(seen: Recorder) -> None:
    role = seen.one("one-identity-database").inputs
    assert role["creationStatements"] == [
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE \"shop\"",
        'ALTER ROLE "{{name}}" SET role = "shop"',
    ]
    assert role["revocationStatements"] == ['DROP ROLE IF EXISTS "{{name}}"']
    assert (role["name"], role["defaultTtl"], role["maxTtl"]) == ("one", 3600, 86400)


def test_a_service_logs_in_by_its_name_and_a_secret_that_is_known_before_vault_runs(seen: Recorder) -> None:
    role, login = seen.one("one-identity-role").inputs, seen.one("one-identity-login").inputs
    assert (role["roleName"], role["roleId"], role["tokenPeriod"]) == ("one", "one", 3600)
    assert (login["roleName"], login["secretId"]) == ("one", "secret-of-one-identity-secret-id")


def test_an_entry_is_written_under_the_services_name_and_not_read_back(seen: Recorder) -> None:
    entry = seen.one("one-identity-redis").inputs
    assert (entry["mount"], entry["name"], entry["disableRead"]) == ("secret", "services/one/redis", True)
    assert json.loads(entry["dataJson"]) == {"password": "of-redis"}


def test_a_service_that_needs_nothing_has_a_login_and_nothing_else(seen: Recorder) -> None:
    own = {r.name for r in seen.resources if r.name.startswith("two-identity-")}
    assert own == {"two-identity-role", "two-identity-login", "two-identity-secret-id"}


def test_the_keys_of_the_authorities_never_leave_vault(seen: Recorder) -> None:
    assert seen.one("engines-root").inputs["type"] == seen.one("engines-issuing-request").inputs["type"] == "internal"


@pytest.mark.parametrize(
    ("public", "names"),
    [
        ("", ("localhost",)),
        ("https://nexus.example.com:8443/", ("nexus.example.com", "localhost")),
        ("https://localhost:4300", ("localhost",)),
    ],
)
def test_the_gateways_certificate_is_for_the_names_its_users_know(public: str, names: tuple[str, ...]) -> None:
    assert gateway_names(public) == names
