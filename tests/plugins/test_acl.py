"""What goes beyond one type's life: tokens that are asked for, repeated creations, refusals, and Vault on Consul."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from components import _consul_rules as rules
from tests.plugins import cases, driver
from tests.plugins.driver import Plugin, Resource, Values, bare, from_struct, is_secret, to_struct
from tests.plugins.servers import Server

SECRET_OF = "consul:index/getAclTokenSecretId:getAclTokenSecretId"


class Made:
    """Resources of both plugins, removed at the end."""

    def __init__(self, bench: Callable[[str], Any]) -> None:
        self.bench, self.unique = bench, cases.unique()
        self.all: list[tuple[Plugin, Resource]] = []

    def __call__(self, kind: str, /, **inputs: Any) -> Resource:
        plugin = self.bench(kind.partition(":")[0]).plugin
        resource = plugin.make(kind, f"{self.unique}-{len(self.all)}", inputs)
        self.all.append((plugin, resource))
        return resource

    def consul_token(self, name: str, allowed: str) -> str:
        """A token with that policy, by what the plugin answers when it is asked for."""
        self("consul:index/aclPolicy:AclPolicy", name=name, rules=allowed)
        token = self("consul:index/aclToken:AclToken", policies=[name])
        return bare(asked(self.bench("consul").plugin, accessorId=token.id))["secretId"]


@pytest.fixture
def made(bench: Callable[[str], Any]) -> Iterator[Made]:
    everything = Made(bench)
    yield everything
    for plugin, resource in reversed(everything.all):
        plugin.delete(resource)


def asked(plugin: Plugin, **arguments: Any) -> Values:
    request = provider_pb2.InvokeRequest(tok=SECRET_OF, args=to_struct(arguments))
    answer = plugin.stub.Invoke(request, timeout=driver.SECONDS)
    assert not answer.failures, answer.failures
    return from_struct(getattr(answer, "return"))


def status(server: Server, method: str, path: str, body: Any = None) -> int:
    try:
        server.call(method, path, body)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    return 200


def test_a_tokens_secret_is_given_to_who_asks_and_is_secret(made: Made, consul: Server) -> None:
    token = made("consul:index/aclToken:AclToken", description="for the test")
    found = asked(made.bench("consul").plugin, accessorId=token.id)
    assert is_secret(found["secretId"])
    assert bare(found)["id"] == bare(found)["accessorId"] == token.id
    own = consul.as_(bare(found)["secretId"]).call("GET", "/v1/acl/token/self")
    assert own["AccessorID"] == token.id


def test_what_a_function_is_asked_with_is_checked(made: Made) -> None:
    plugin = made.bench("consul").plugin
    for arguments, word in (({}, "accessorId"), ({"accessorId": "a", "accesorId": "b"}, "did you mean")):
        request = provider_pb2.InvokeRequest(tok=SECRET_OF, args=to_struct(arguments))
        failures = plugin.stub.Invoke(request, timeout=driver.SECONDS).failures
        assert any(word in failure.reason for failure in failures)
    with pytest.raises(grpc.RpcError, match="getAclTokenSecretId"):
        plugin.stub.Invoke(provider_pb2.InvokeRequest(tok="consul:index/getOther:getOther"), timeout=driver.SECONDS)


def test_a_policy_holds_for_the_token_that_has_it(made: Made, consul: Server) -> None:
    web = consul.as_(made.consul_token(rules.policy_name(made.unique), rules.of_service(made.unique)))
    assert status(web, "PUT", f"/v1/kv/services/{made.unique}/limit", "1") == 200
    assert status(web, "PUT", "/v1/kv/services/other/limit", "1") == 403
    assert status(consul.as_(None), "GET", f"/v1/kv/services/{made.unique}/limit") == 403


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("consul:index/aclPolicy:AclPolicy", {"name": "twice-$x", "rules": 'node_prefix "" { policy = "read" }'}),
        ("consul:index/aclToken:AclToken", {"accessorId": "7a1a4a3e-2b1c-4d5e-8f90-0123456789ab", "description": "d"}),
        ("vault:index/mount:Mount", {"path": "twice-$x", "type": "kv-v2", "description": "d"}),
        ("vault:index/authBackend:AuthBackend", {"type": "approle", "path": "twice-$x", "description": "d"}),
        ("vault:index/audit:Audit", {"type": "file", "path": "twice-$x", "options": {"file_path": "discard"}}),
        (
            "vault:rabbitMq/secretBackend:SecretBackend",
            {
                "path": "twice-$x",
                "connectionUri": "http://broker.test",
                "username": "of-vault",
                "password": "word-of-it",
                "verifyConnection": False,
            },
        ),
    ],
)
def test_a_creation_that_a_killed_run_had_finished_can_be_repeated(made: Made, token: str, inputs: Values) -> None:
    """And one that would change what somebody else made is refused, with what differs."""
    given = {
        key: value.replace("$x", made.unique) if isinstance(value, str) else value for key, value in inputs.items()
    }
    first = made(token, **given)
    again = made(token, **given)
    assert again.id == first.id
    assert bare(again.outputs) == bare(first.outputs)
    other = given | {"description": "another"}
    with pytest.raises(grpc.RpcError) as refused:
        made(token, **other)
    assert "differs in description" in refused.value.details()  # type: ignore[attr-defined]
    assert first.id in refused.value.details()  # type: ignore[attr-defined]


def test_an_approle_secret_id_can_be_set_twice(made: Made) -> None:
    path = f"approle-{made.unique}"
    made("vault:index/authBackend:AuthBackend", type="approle", path=path)
    made("vault:appRole/authBackendRole:AuthBackendRole", backend=path, roleName="web")
    chosen = {"backend": path, "roleName": "web", "secretId": "chosen"}
    first = made("vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId", **chosen)
    assert made("vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId", **chosen).id == first.id


def test_half_a_creation_is_taken_back(made: Made, vault: Server) -> None:
    path = f"rabbitmq-{made.unique}"
    inputs = {"path": path, "connectionUri": "http://127.0.0.1:1", "username": "of-vault", "password": "hush-hush"}
    with pytest.raises(grpc.RpcError) as refused:
        made("vault:rabbitMq/secretBackend:SecretBackend", **inputs)
    said = refused.value.details()  # type: ignore[attr-defined]
    assert "connection refused" in said
    assert "hush-hush" not in said
    assert "does not run" not in said, "it is not Vault that is unreachable"
    assert f"{path}/" not in vault.call("GET", "/v1/sys/mounts")["data"]


def test_a_refusal_says_what_may_be_done(made: Made, bench: Callable[[str], Any]) -> None:
    path = f"transit-{made.unique}"
    made("vault:index/mount:Mount", path=path, type="transit")
    key = made("vault:transit/secretBackendKey:SecretBackendKey", backend=path, name="kept")
    with pytest.raises(grpc.RpcError) as refused:
        bench("vault").plugin.delete(key)
    assert "deletionAllowed" in refused.value.details()  # type: ignore[attr-defined]
    plugin = made.all.pop()[0]
    allowed = plugin.check(key, {"backend": path, "name": "kept", "deletionAllowed": True}, key.inputs)
    plugin.update(key, allowed)
    plugin.delete(key)


def test_an_unknown_token_is_not_taken_for_missing_objects(binaries: Any, consul: Server, made: Made) -> None:
    """A refresh with a wrong token must fail: otherwise it would drop everything from the state."""
    policy = made("consul:index/aclPolicy:AclPolicy", name=f"kept-{made.unique}", rules="")
    with driver.started(binaries["consul"]) as stub:
        wrong = {"address": consul.address, "scheme": "http", "token": "99999999-2222-3333-4444-555555555555"}
        with pytest.raises(grpc.RpcError) as refused:
            driver.configured(stub, "consul", wrong).read(policy)
    said = refused.value.details()  # type: ignore[attr-defined]
    assert "ACL not found" in said
    assert "nexus up" in said
    assert wrong["token"] not in said


def test_vault_lends_tokens_of_consul_that_can_do_what_the_role_says(made: Made, consul: Server, vault: Server) -> None:
    issuer = made.consul_token(f"vault-{made.unique}", rules.ISSUER)
    policy = rules.policy_name(made.unique)
    made("consul:index/aclPolicy:AclPolicy", name=policy, rules=rules.of_service(made.unique))
    mount = f"consul-{made.unique}"
    made("vault:consul/secretBackend:SecretBackend", path=mount, address=consul.address, token=issuer)
    made("vault:consul/secretBackendRole:SecretBackendRole", backend=mount, name="web", consulPolicies=[policy], ttl=60)
    lent = vault.call("GET", f"/v1/{mount}/creds/web")
    web = consul.as_(lent["data"]["token"])
    assert status(web, "PUT", f"/v1/kv/services/{made.unique}/limit", "1") == 200
    assert status(web, "PUT", "/v1/kv/services/other/limit", "1") == 403
    vault.call("PUT", "/v1/sys/leases/revoke", {"lease_id": lent["lease_id"]})
    assert status(web, "GET", f"/v1/kv/services/{made.unique}/limit") == 403
