"""Drift on a whole environment: each kind of change behind Pulumi's back is seen, and put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import httpx
import jsonschema
import pytest

from ops.errors import DRIFTED
from tests.e2e.conftest import made
from tests.e2e.environment import REGISTRY, ROOT, Environment
from tests.e2e.test_life import eventually, healthy, started

pytestmark = pytest.mark.e2e
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "drift.schema.json").read_text())
VAULT = 3500


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    for one in made("e2e-drift", tmp_path_factory.mktemp("drift")):
        one.up()
        yield one


@pytest.fixture(scope="module")
def tokens(environment: Environment) -> dict[str, str]:
    """The stack's own tokens of Consul and Vault, as its state has them."""
    shown = environment.pulumi(f"stack export -s {environment.stack} --show-secrets")
    resources = json.loads(shown.stdout)["deployment"]["resources"]
    providers = {r["type"]: r["inputs"] for r in resources if r["type"].startswith("pulumi:providers:")}
    return {
        name: json.loads(providers[f"pulumi:providers:{name}"]["token"]["plaintext"]) for name in ("consul", "vault")
    }


def drift(environment: Environment, code: int = DRIFTED) -> dict[str, Any]:
    done = environment.nexus("drift", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    return document


def changed(environment: Environment) -> dict[str, str]:
    return {one["name"]: one["kind"] for one in drift(environment)["changed"]}


def consul(environment: Environment, token: str, method: str, path: str, **content: Any) -> httpx.Response:
    headers = {"X-Consul-Token": token}
    url = environment.url(REGISTRY, path)
    return httpx.request(method, url, headers=headers, timeout=10, trust_env=False, **content).raise_for_status()


def vault(environment: Environment, token: str, method: str, path: str, **content: Any) -> httpx.Response:
    headers, url = {"X-Vault-Token": token}, environment.url(VAULT, f"/v1/{path}")
    return httpx.request(method, url, headers=headers, timeout=10, trust_env=False, **content).raise_for_status()


def test_a_new_environment_has_no_drift_and_neither_has_one_whose_containers_were_restarted(
    environment: Environment,
) -> None:
    assert drift(environment, code=0)["changed"] == []
    for service in ("redis", "nexus-backend", "consul"):
        environment.container(service).restart(timeout=10)
    eventually(lambda: healthy(environment), 60)
    found = drift(environment, code=0)
    assert (found["changed"], found["unmanaged"], found["unseen"]) == ([], [], [])
    told = environment.nexus("drift")
    assert told.stdout.strip() == f"{environment.stack}: no drift", told.stderr


def test_what_was_edited_stopped_and_removed_is_told_not_touched_and_put_back(
    environment: Environment, tokens: dict[str, str]
) -> None:
    route, policy = "/routes/nexus-backend-0", "service-nexus-backend"
    assert environment.kong("PATCH", route, json={"paths": ["/elsewhere"]}).status_code == 200
    found = consul(environment, tokens["consul"], "GET", f"/v1/acl/policy/name/{policy}").json()
    body = {"ID": found["ID"], "Name": policy, "Rules": 'service_prefix "" { policy = "write" }'}
    consul(environment, tokens["consul"], "PUT", f"/v1/acl/policy/{found['ID']}", json=body)
    everything = {"policy": 'path "*" { capabilities = ["sudo"] }'}
    vault(environment, tokens["vault"], "PUT", "sys/policies/acl/service", json=everything)
    environment.container("gateway-agent").remove(force=True)
    environment.container("healer").stop()  # first, or it starts the other one again
    environment.container("nexus-backend").stop()
    before = started(environment)
    document = drift(environment)
    kinds = {one["name"]: one["kind"] for one in document["changed"]}
    assert kinds == {
        "nexus-backend-routes-route-0": "changed",
        "nexus-backend-discovery-policy": "changed",
        "vault-engines-policy-service": "changed",
        "gateway-agent-server": "removed",
        "healer-server": "stopped",
        "nexus-backend-server": "stopped",
    }
    (edited,) = [one for one in document["changed"] if one["name"] == "nexus-backend-routes-route-0"]
    assert edited["properties"] == [{"path": "paths[0]", "expected": "/api/v1", "actual": "/elsewhere"}]
    assert started(environment) == before, "looking makes nothing"
    assert environment.container("nexus-backend").status == "exited"
    done = environment.nexus("drift", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{environment.stack}: no drift" in done.stdout
    eventually(lambda: healthy(environment))
    assert environment.changes("--refresh") == {}


def test_a_server_that_is_gone_leaves_what_lives_in_it_unseen_and_comes_back_with_it(environment: Environment) -> None:
    environment.container("kong").remove(force=True)
    document = drift(environment)
    assert {one["name"]: one["kind"] for one in document["changed"]}["kong-server"] == "removed"
    assert not [one for one in document["changed"] if one["type"].startswith("kong:")]
    assert [one["what"] for one in document["unseen"]] == ["what kong has"]
    done = environment.nexus("drift", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(lambda: healthy(environment))


@contextmanager
def added(environment: Environment, tokens: dict[str, str]) -> Iterator[None]:
    """One of each kind, added by hand, and removed again."""
    client = docker.from_env()
    service = environment.kong("GET", "/services/nexus-backend").json()["id"]
    of_service = {"service": {"id": service}}
    in_kong = {
        "/routes": {"name": "back-door", "paths": ["/x"]} | of_service,
        "/upstreams/nexus-backend.upstream/targets": {"target": "10.0.0.9:80"},
        "/consumers": {"username": "mallory"},
        "/consumers/anonymous/acls": {"group": "admin"},
        "/plugins": {"name": "ip-restriction", "config": {"deny": ["10.0.0.1"]}} | of_service,
    }
    answers = [environment.kong("POST", path, json=body) for path, body in in_kong.items()]
    assert [answer.status_code for answer in answers] == [201] * len(answers), [answer.text for answer in answers]
    paths = [f"{path}/{answer.json()['id']}" for path, answer in zip(in_kong, answers, strict=True)]
    own = tokens["consul"]
    entry = {
        "Node": f"nexus-{environment.stack}-nexus-backend",
        "Service": {"Service": "smuggled"},
        "SkipNodeUpdate": True,
    }
    consul(environment, own, "PUT", "/v1/catalog/register", json=entry | {"Address": "nexus-backend"})
    consul(environment, own, "PUT", "/v1/kv/flags/open", content=b"yes")
    labels = {"nexus.stack": environment.stack}
    network = client.networks.create(f"nexus-{environment.stack}-extra", labels=labels)
    in_vault = {"sys/mounts/extra": {"type": "kv"}, "auth/approle/role/mallory": {"token_policies": ["auth"]}}
    for path, body in in_vault.items():
        vault(environment, tokens["vault"], "POST", path, json=body)
    try:
        yield
    finally:
        for path in paths:
            environment.kong("DELETE", path)
        for path in in_vault:
            vault(environment, tokens["vault"], "DELETE", path)
        consul(environment, own, "DELETE", "/v1/kv/flags/open")
        gone = {"Node": entry["Node"], "ServiceID": "smuggled"}
        consul(environment, own, "PUT", "/v1/catalog/deregister", json=gone)
        network.remove()
        client.close()


def test_what_was_added_by_hand_is_told_with_how_to_remove_it(environment: Environment, tokens: dict[str, str]) -> None:
    with added(environment, tokens):
        document = drift(environment)
        assert document["changed"] == []
        assert {(one["kind"], one["name"]) for one in document["unmanaged"]} == {
            ("Kong route", "back-door"),
            ("Kong target", "10.0.0.9:80"),
            ("Kong consumer", "mallory"),
            ("Kong consumer's group", "admin"),
            ("Kong plugin", "ip-restriction"),
            ("Consul service", "smuggled"),
            ("Consul key", "flags/open"),
            ("Vault engine", "extra"),
            ("Vault AppRole role", "mallory"),
            ("network", f"nexus-{environment.stack}-extra"),
        }
        told = environment.nexus("drift")
        assert told.returncode == DRIFTED
        assert "Kong plugin ip-restriction of service nexus-backend-routes-gateway" in told.stdout
    assert drift(environment, code=0)["unmanaged"] == []


def test_a_stack_that_was_never_made_is_said(empty: Environment) -> None:
    done = empty.nexus("drift")
    assert done.returncode == 1 and f"there is no stack {empty.stack}" in done.stderr
