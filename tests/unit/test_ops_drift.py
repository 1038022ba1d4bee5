"""Drift: from the steps of a refresh, and from servers that have more than the state."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from components import vault
from ops import drift, paths, steps, unmanaged, unmanaged_entries
from ops.drift import CHANGED, REMOVED, STOPPED, Difference, Report
from ops.errors import Failure
from ops.events import name_of
from ops.paths import ROOT
from ops.unmanaged import Found, Known, Unseen
from ops.workspace import Workspace

CONTAINER, ROUTE, VAULT_POLICY = (
    "docker:index/container:Container",
    "kong:index/route:Route",
    "vault:index/policy:Policy",
)
SECRET = {steps.SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


def step(type_: str, old: dict[str, Any], new: dict[str, Any] | None, *paths: str, **more: Any) -> dict[str, Any]:
    """A step of a refresh as the engine tells of it: without `new`, what is gone."""
    side = {"custom": True, "id": "abc"}
    return {
        "op": "delete" if new is None else "update" if paths else "same",
        "urn": f"urn:pulumi:dev::nexus::{type_}::one",
        "type": type_,
        "old": side | {"inputs": old, "outputs": old | more},
        "new": None if new is None else side | {"inputs": new, "outputs": new},
        "detailedDiff": {path: {"diffKind": "update", "inputDiff": False} for path in paths} or None,
    }


def test_an_edited_property_is_told_with_what_was_expected_and_what_is_there() -> None:
    found = drift.of_step(step(ROUTE, {"paths": ["/api"]}, {"paths": ["/elsewhere"]}, "paths[0]"))
    assert found and (found.kind, found.name, found.id) == (CHANGED, "one", "abc")
    assert found.properties == (Difference("paths[0]", "/api", "/elsewhere"),)


def test_what_is_gone_is_told() -> None:
    found = drift.of_step(step(VAULT_POLICY, {"name": "service"}, None))
    assert found and (found.kind, found.properties) == (REMOVED, ())


def test_a_container_that_does_not_run_is_stopped_whatever_else_the_plugin_then_reads() -> None:
    old = {"mustRun": True, "ports": [{"external": 80}]}
    found = drift.of_step(step(CONTAINER, old, {"mustRun": False, "ports": []}, "mustRun", "ports[0]"))
    assert found and (found.kind, found.properties) == (STOPPED, (Difference("running", True, False),))


@pytest.mark.parametrize(
    "data",
    [
        step(CONTAINER, {"image": "a"}, {"image": "a"}),
        step(CONTAINER, {"image": "a"}, {"image": "a"}, "networkDatas[0].ipAddress", networkDatas=[{}]),
        step(CONTAINER, {"image": "a"}, {"image": "a"}, "image"),
        step("pulumi:providers:kong", {"a": 1}, {"a": 2}, "a"),
    ],
    ids=["nothing", "what the engine fills in", "the same value", "a provider"],
)
def test_what_is_as_it_was_or_is_not_the_programs_is_no_drift(data: dict[str, Any]) -> None:
    assert drift.of_step(data) is None


def test_a_changed_secret_is_told_and_not_shown() -> None:
    old, new = {"dataJson": SECRET}, {"dataJson": SECRET}
    found = drift.of_step(step("vault:kv/secretV2:SecretV2", old, new, "dataJson"))
    assert found and found.properties == (Difference("dataJson", steps.SECRET, steps.SECRET),)


def test_what_lives_in_a_server_that_is_down_cannot_be_looked_at() -> None:
    assert drift.absent("dev", ["nexus-dev-postgres"]) == {"kong": ["nexus-dev-postgres"]}
    assert drift.absent("dev", ["nexus-dev-vault", "nexus-dev-users"]) == {"vault": ["nexus-dev-vault"]}
    assert drift.absent("dev", []) == {}


def told_by(folder: Path, *steps: dict[str, Any], code: int = 0) -> Workspace:
    """A workspace whose CLI writes down what it is asked, and tells of these steps."""
    events = [{"resOutputsEvent": {"metadata": each}} for each in steps]
    (folder / "events").write_text("".join(f"{json.dumps(each)}\n" for each in events))
    program = folder / "pulumi"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/asked"\ncat "{folder}/events"\nexit {code}\n')
    program.chmod(0o755)
    return Workspace("dev", program, dict(os.environ), folder)


def test_the_refresh_is_a_preview_that_leaves_out_what_lives_in_servers_that_are_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / "private")
    same = step(CONTAINER, {"image": "a"}, {"image": "a"})
    space = told_by(tmp_path, step(ROUTE, {"paths": ["/api"]}, {"paths": ["/x"]}, "paths[0]"), same)
    (found,) = drift.refresh(space, ["kong", "vault"])
    assert (found.type, found.kind) == (ROUTE, CHANGED)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("refresh ") and "--preview-only" in asked and "--yes" not in asked
    assert "--exclude **kong:*/** --exclude **vault:*/**" in asked


def test_a_refresh_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / "private")
    with pytest.raises(Failure, match="pulumi refresh failed"):
        drift.refresh(told_by(tmp_path, code=255), [])


def report(**more: Any) -> Report:
    changed = drift.of_step(step(ROUTE, {"paths": ["/api"]}, {"paths": ["/elsewhere"]}, "paths[0]"))
    assert changed
    return Report("dev", **({"changed": [changed]} | more))


@pytest.mark.parametrize(
    ("found", "drifted"),
    [
        (report(), True),
        (report(changed=[], unmanaged=[Found("Kong plugin", "cors", "route one", "DELETE /plugins/1")]), True),
        (report(changed=[], unseen=[Unseen("what kong has", "nexus-dev-kong does not run")]), False),
        (report(changed=[]), False),
    ],
    ids=["changed", "added", "unseen", "none"],
)
def test_the_document_follows_the_published_schema(found: Report, drifted: bool) -> None:
    document = drift.document(found)
    schema = json.loads((ROOT / "docs" / "schemas" / "drift.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)
    assert document["drifted"] is drifted


def test_people_read_what_changed_what_was_added_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    added = Found("Kong plugin", "cors", "route one", "DELETE /plugins/1")
    everything = report(unmanaged=[added], unseen=[Unseen("what vault has", "nexus-dev-vault does not run")])
    drift.show(everything)
    shown = capsys.readouterr().out
    assert "~ changed  one (kong:index/route:Route)" in shown
    assert "paths[0]: expected /api, is /elsewhere" in shown
    assert "+ added    Kong plugin cors of route one: remove it by DELETE /plugins/1" in shown
    assert "? unseen   what vault has: nexus-dev-vault does not run" in shown
    assert "dev: 1 changed or gone, 1 added by hand" in drift.conclusion(everything)
    assert "--repair" in drift.conclusion(everything)
    assert drift.conclusion(Report("dev")) == "dev: no drift"


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def resource(type_: str, name_: str, identity: str = "id", /, **inputs: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:dev::nexus::{type_}::{name_}", "type": type_, "id": identity, "inputs": inputs}


STATE = [
    resource("kong:index/service:Service", "users-gateway", uuid(1)),
    resource(ROUTE, "users-route-0", uuid(2)),
    resource("kong:index/upstream:Upstream", "users-upstream", uuid(3)),
    resource("kong:index/target:Target", "users-target", f"{uuid(3)}/{uuid(4)}"),
    resource("kong:index/consumer:Consumer", "gateway-role-user", uuid(5)),
    resource("kong:index/consumerAcl:ConsumerAcl", "gateway-role-user-user", f"{uuid(6)}|{uuid(5)}"),
    resource("kong:index/plugin:Plugin", "gateway-jwt", uuid(7)),
    resource("consul:index/node:Node", "users-node", name="nexus-dev-users"),
    resource("consul:index/service:Service", "users-registration", name="users", node="nexus-dev-users"),
    resource("consul:index/aclPolicy:AclPolicy", "users-policy", name="service-users"),
    resource("consul:index/keyPrefix:KeyPrefix", "flags", pathPrefix="flags/", subkeys={"a": "1"}),
    resource("nexus:index:GeneratedSecret", "consul-reader-token"),
    resource("nexus:index:GeneratedSecret", "consul-management-token"),
    resource(VAULT_POLICY, "service", name="service"),
    resource("vault:index/mount:Mount", "kv", path="secret"),
    resource("vault:index/authBackend:AuthBackend", "approle", path="approle"),
    resource("vault:appRole/authBackendRole:AuthBackendRole", "users-role", roleName="users", backend="approle"),
]
OURS = {
    "/services": [{"id": uuid(1), "name": "users"}],
    "/routes": [{"id": uuid(2), "name": "users-0", "service": {"id": uuid(1)}}],
    "/upstreams": [{"id": uuid(3), "name": "users.upstream"}],
    f"/upstreams/{uuid(3)}/targets": [{"id": uuid(4), "target": "users:8000"}],
    "/consumers": [{"id": uuid(5), "username": "role-user"}],
    "/acls": [{"id": uuid(6), "group": "user", "consumer": {"id": uuid(5)}}],
    "/plugins": [{"id": uuid(7), "name": "jwt", "service": None}],
    "/jwts": [{"id": uuid(99), "key": "user:v1", "tags": ["nexus-gateway-agent"], "consumer": {"id": uuid(5)}}],
}


def asking(answers: dict[str, Any], wrap: Callable[[Any], Any]) -> httpx.Client:
    """A client of a server that has these answers by path, and no others."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().split("?size")[0]
        found = answers.get(path)
        return httpx.Response(404) if found is None else httpx.Response(200, json=wrap(found))

    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server")


def kong(answers: dict[str, Any]) -> list[Found]:
    with asking(answers, lambda data: {"data": data}) as asked:
        return list(unmanaged_entries.of_kong(asked, Known(STATE)))


def test_what_the_stack_and_the_gateways_agent_made_in_kong_is_theirs() -> None:
    assert kong(OURS) == []


@pytest.mark.parametrize(
    ("path", "entry", "expected"),
    [
        (
            "/plugins",
            {"id": uuid(50), "name": "cors", "route": {"id": uuid(2)}},
            Found("Kong plugin", "cors", "route users-route-0", f"DELETE /plugins/{uuid(50)}"),
        ),
        (
            "/routes",
            {"id": uuid(51), "name": "back-door", "service": {"id": uuid(1)}},
            Found("Kong route", "back-door", "service users-gateway", f"DELETE /routes/{uuid(51)}"),
        ),
        (
            f"/upstreams/{uuid(3)}/targets",
            {"id": uuid(52), "target": "10.0.0.9:80", "upstream": {"id": uuid(3)}},
            Found("Kong target", "10.0.0.9:80", "users.upstream", f"DELETE /upstreams/{uuid(3)}/targets/{uuid(52)}"),
        ),
        (
            "/consumers",
            {"id": uuid(53), "username": "mallory"},
            Found("Kong consumer", "mallory", "", f"DELETE /consumers/{uuid(53)}"),
        ),
        (
            "/acls",
            {"id": uuid(54), "group": "admin", "consumer": {"id": uuid(5)}},
            Found("Kong consumer's group", "admin", "consumer gateway-role-user", f"DELETE /acls/{uuid(54)}"),
        ),
        (
            "/key-auths",
            {"id": uuid(55), "key": "not to be shown", "consumer": {"id": uuid(5)}},
            Found("Kong consumer's API key", uuid(55), "consumer gateway-role-user", f"DELETE /key-auths/{uuid(55)}"),
        ),
    ],
)
def test_what_was_added_to_kong_by_hand_is_found(path: str, entry: dict[str, Any], expected: Found) -> None:
    assert kong(OURS | {path: [*OURS.get(path, []), entry]}) == [expected]


def test_every_page_of_kong_is_read() -> None:
    pages = {
        None: {"data": [{"id": uuid(1)}], "offset": "next"},
        "next": {"data": [{"id": uuid(2)}]},
    }
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=pages[request.url.params.get("offset")]))
    with httpx.Client(transport=transport, base_url="http://kong") as asked:
        assert [entry["id"] for entry in unmanaged_entries.pages(asked, "/routes")] == [uuid(1), uuid(2)]


CONSUL: dict[str, Any] = {
    "/catalog/services": {"consul": [], "consul-esm": [], "users": []},
    "/catalog/service/consul": [{"Node": "consul", "ServiceID": "consul"}],
    "/catalog/service/consul-esm": [{"Node": "consul", "ServiceID": "consul-esm"}],
    "/catalog/service/users": [{"Node": "nexus-dev-users", "ServiceID": "users"}],
    "/catalog/nodes": [{"Node": "consul"}, {"Node": "nexus-dev-users", "Meta": {"external-node": "true"}}],
    "/acl/policies": [{"Name": name, "ID": name} for name in ("global-management", "reader", "service-users")],
    "/acl/tokens": [
        {"Description": said, "AccessorID": "a"}
        for said in ("Initial Management Token", "Anonymous Token", "reader", "Vault users token 1795")
    ],
    "/kv/?keys=true": ["consul-esm/lock", "services/users/state", "flags/a"],
}


def consul(answers: dict[str, Any]) -> list[tuple[str, str]]:
    with asking(answers, lambda data: data) as asked:
        return [(found.kind, found.name) for found in unmanaged_entries.of_consul(asked, Known(STATE))]


def test_what_the_stack_its_monitor_its_services_and_vault_made_in_consul_is_theirs() -> None:
    assert consul(CONSUL) == []
    assert consul(CONSUL | {"/kv/?keys=true": None}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"/catalog/service/users": [{"Node": "x", "ServiceID": "users"}]},
            ("Consul service", "users"),
        ),
        (
            {"/catalog/services": {"evil": []}, "/catalog/service/evil": [{"Node": "consul", "ServiceID": "evil"}]},
            ("Consul service", "evil"),
        ),
        (
            {"/catalog/nodes": [{"Node": "x", "Meta": {"external-node": "true"}}]},
            ("Consul node", "x"),
        ),
        ({"/acl/policies": [{"Name": "all", "ID": "1"}]}, ("Consul policy", "all")),
        ({"/acl/tokens": [{"Description": "mine", "AccessorID": "1"}]}, ("Consul token", "mine")),
        ({"/kv/?keys=true": ["flags/b"]}, ("Consul key", "flags/b")),
        ({"/kv/?keys=true": ["services/other/a"]}, ("Consul key", "services/other/a")),
    ],
)  # fmt: skip
def test_what_was_added_to_consul_by_hand_is_found(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert consul(CONSUL | changes) == [expected]


VAULT: dict[str, Any] = {
    "/sys/policies/acl": {"keys": ["default", "nexus-stack", "root", "service"]},
    "/sys/mounts": {"secret/": {}, "sys/": {}, "identity/": {}, "cubbyhole/": {}},
    "/sys/auth": {"approle/": {}, "token/": {}},
    "/auth/approle/role": {"keys": ["users"]},
}


def of_vault(answers: dict[str, Any]) -> list[tuple[str, str]]:
    with asking(answers, lambda data: {"data": data}) as asked:
        return [(found.kind, found.name) for found in unmanaged_entries.of_vault(asked, Known(STATE))]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("/sys/policies/acl", {"keys": ["service"]}, []),
        ("/sys/policies/acl", {"keys": ["service", "everything"]}, [("Vault policy", "everything")]),
        ("/sys/mounts", {"secret/": {}, "more/": {}}, [("Vault engine", "more")]),
        ("/sys/auth", {"userpass/": {}}, [("Vault login method", "userpass")]),
        ("/auth/approle/role", {"keys": ["users", "mallory"]}, [("Vault AppRole role", "mallory")]),
        ("/transit/keys", {"keys": ["spare"]}, [("Vault key", "spare")]),
    ],
)
def test_what_was_added_to_vault_by_hand_is_found(path: str, value: Any, expected: list[tuple[str, str]]) -> None:
    assert of_vault(VAULT | {path: value}) == expected


def test_the_stacks_token_may_list_all_that_is_looked_at() -> None:
    policy = (vault.HERE / vault.POLICY_SOURCE).read_text()
    for kind in unmanaged_entries.VAULT_KINDS:
        verb = "list" if kind.method == "LIST" else "read"
        assert re.search(rf'^path "{kind.path}" {{ capabilities = \["{verb}"\] }}$', policy, re.MULTILINE), kind.path


def test_a_server_that_refuses_is_unseen_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(asked: httpx.Client, known: Known):
        raise httpx.ConnectError("connection refused")
        yield

    monkeypatch.setattr(unmanaged_entries, "LOOKS", {"kong": ("the gateway", refused)})
    provider = resource("pulumi:providers:kong", "kong", kongAdminUri="http://127.0.0.1:1")
    found, unseen = unmanaged.of_servers([provider])
    assert (found, unseen) == ([], [Unseen("what was added to the gateway", "connection refused")])
    assert unmanaged.of_servers([provider], down=["kong"]) == ([], [])


def test_names_of_owners_are_those_of_the_program() -> None:
    known = Known(STATE)
    assert known.uuids[uuid(3)] == "users-upstream" and known.uuids[uuid(4)] == "users-target"
    assert known.uuids[uuid(5)] == "gateway-role-user"
    assert {name_of(each["urn"]) for each in known.resources} >= set(known.uuids.values())
