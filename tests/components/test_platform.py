"""What the whole program declares for an environment, seen without any plugin."""

from __future__ import annotations

import pytest

from infra.errors import ConfigError
from infra.stack import deploy
from tests.components.recorder import Recorder, declare

CONTAINER, UPSTREAM = "docker:index/container:Container", "kong:index/upstream:Upstream"


@pytest.fixture(scope="module")
def dev() -> Recorder:
    return declare(deploy, stack="dev")


def container(recorder: Recorder, service: str) -> dict:
    return next(r.inputs for r in recorder.of(CONTAINER) if r.inputs["hostname"] == service)


def test_the_enabled_services_and_the_monitor_are_containers_and_nothing_else_is(dev: Recorder) -> None:
    hosts = {r.inputs["hostname"] for r in dev.of(CONTAINER)}
    assert hosts == {"postgres", "redis", "consul", "consul-esm", "kong", "nexus-backend"}


def test_every_container_is_hardened_limited_and_checked(dev: Recorder) -> None:
    for resource in dev.of(CONTAINER):
        inputs = resource.inputs
        assert inputs["readOnly"] is True, resource.name
        assert inputs["capabilities"] == {"drops": ["ALL"]}, resource.name
        assert inputs["securityOpts"] == ["no-new-privileges"], resource.name
        assert inputs["memory"] == inputs["memorySwap"] > 0, resource.name
        assert inputs["restart"] == "unless-stopped", resource.name
        assert inputs["logOpts"] == {"max-size": "10m", "max-file": "3"}, resource.name
        assert inputs["healthcheck"]["tests"][0] == "CMD" and len(inputs["healthcheck"]["tests"]) > 1, resource.name
        assert not inputs["user"].startswith("0:"), resource.name


def test_every_port_is_bound_to_loopback_by_default(dev: Recorder) -> None:
    bound = {(p["external"], p["ip"]) for r in dev.of(CONTAINER) for p in r.inputs.get("ports") or []}
    assert bound == {(port, "127.0.0.1") for port in (1100, 1200, 3000, 3100, 4200, 4300, 8000)}


def test_bind_opens_the_gateway_and_leaves_databases_and_admin_on_loopback() -> None:
    seen = declare(deploy, config={"nexus:bind": "0.0.0.0"})
    bound = {p["external"]: p["ip"] for r in seen.of(CONTAINER) for p in r.inputs.get("ports") or []}
    assert {port for port, ip in bound.items() if ip == "0.0.0.0"} == {4200, 4300}


def test_no_secret_is_in_an_environment_or_a_command(dev: Recorder) -> None:
    for resource in dev.of(CONTAINER):
        exposed = str([resource.inputs.get(key) for key in ("envs", "command", "labels", "healthcheck")])
        assert "secret-of-" not in exposed, resource.name


def files(recorder: Recorder, service: str) -> dict[str, str]:
    return recorder.one(f"{service}-files").inputs["files"]


def test_passwords_reach_containers_as_files_in_a_volume_of_their_own(dev: Recorder) -> None:
    assert files(dev, "nexus-backend") == {
        "postgres-password": "secret-of-postgres-nexus-password",
        "redis-password": "secret-of-redis-nexus-backend-password",
    }
    (volume,) = container(dev, "nexus-backend")["volumes"]
    assert volume == {
        "volumeName": "nexus-dev-nexus-backend-files",
        "containerPath": "/run/secrets",
        "readOnly": True,
    }
    assert dev.one("nexus-backend-files").inputs["owner"] == container(dev, "nexus-backend")["user"]


def test_a_container_is_made_again_when_one_of_its_files_changes(dev: Recorder) -> None:
    labels = {label["label"]: label["value"] for label in container(dev, "redis")["labels"]}
    assert labels["nexus.files"] == "digest-of-redis-files"


def test_redis_is_given_only_a_digest_of_each_password(dev: Recorder) -> None:
    acl = files(dev, "redis")["users.acl"]
    assert "user nexus-backend on #" in acl and "secret-of-" not in acl


def test_each_gate_asks_the_container_it_is_for(dev: Recorder) -> None:
    gates = {r.inputs["container"]: r.inputs for r in dev.of("nexus:index:Exec")}
    assert set(gates) == {r.inputs["name"] for r in dev.of(CONTAINER)}
    assert gates["nexus-dev-nexus-backend"]["command"][-1] == "/ready"
    assert gates["nexus-dev-nexus-backend"]["containerId"] == "nexus-backend-server-id"


def test_the_databases_script_makes_one_owner_per_database_and_repeats_safely(dev: Recorder) -> None:
    script = next(r.inputs["stdin"] for r in dev.of("nexus:index:Exec") if "postgres" in r.inputs["container"])
    for name in ("nexus", "kong"):
        assert f"ALTER ROLE \"{name}\" PASSWORD 'secret-of-postgres-{name}-password';" in script
        assert f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')" in script


def test_the_gateway_leads_the_route_over_the_upstream_to_the_service(dev: Recorder) -> None:
    assert dev.one("nexus-backend-routes-route-0").inputs["paths"] == ["/api/v1"]
    assert (
        dev.one("nexus-backend-routes-gateway").inputs["host"]
        == dev.one("nexus-backend-routes-upstream").inputs["name"]
    )
    assert dev.one("nexus-backend-routes-target").inputs["target"] == "nexus-backend:8000"
    checks = dev.one("nexus-backend-routes-upstream").inputs["healthchecks"]
    assert checks["active"]["httpPath"] == "/health" and checks["active"]["healthy"]["interval"] == 10


def test_consul_lists_the_service_with_an_http_check_every_ten_seconds(dev: Recorder) -> None:
    (check,) = dev.one("nexus-backend-discovery-registration").inputs["checks"]
    assert (check["http"], check["interval"]) == ("http://nexus-backend:8000/health", "10s")
    assert dev.one("nexus-backend-discovery-node").inputs["meta"]["external-node"] == "true"


def test_gateway_and_registry_objects_use_providers_that_know_the_running_servers(dev: Recorder) -> None:
    provider = next(r for r in dev.of("pulumi:providers:kong"))
    assert provider.inputs["kongAdminUri"] == "http://127.0.0.1:3100"
    assert all("pulumi:providers:kong::kong" in r.provider for r in dev.of(UPSTREAM))


def test_two_environments_share_no_name_and_no_port() -> None:
    def claims(recorder: Recorder) -> set[object]:
        names = {
            r.inputs["name"]
            for t in (CONTAINER, "docker:index/volume:Volume", "docker:index/network:Network")
            for r in recorder.of(t)
        }
        return names | {p["external"] for r in recorder.of(CONTAINER) for p in r.inputs.get("ports") or []}

    assert not claims(declare(deploy, "dev")) & claims(declare(deploy, "prod", {"nexus:portOffset": "20000"}))


def test_a_memory_setting_changes_one_container_only() -> None:
    before, after = declare(deploy), declare(deploy, config={"nexus:services": '{"redis": {"memory": 256}}'})
    old, new = ({(r.type, r.name): r.inputs for r in seen.resources} for seen in (before, after))
    assert new.keys() == old.keys()
    assert {key[1] for key in new if new[key] != old[key]} == {"redis-server", "redis-files"}


def test_another_service_restarts_nothing_that_runs(dev: Recorder) -> None:
    more = declare(deploy, config={"nexus:services": '{"users": {"enabled": true}}'})
    before, after = ({r.name: r.inputs for r in seen.of(CONTAINER)} for seen in (dev, more))
    assert after.keys() - before.keys() == {"users-server"}
    assert {name for name in before if before[name] != after[name]} == set()
    assert more.one("redis-files").inputs["live"] == ["users.acl"]
    assert more.one("redis-ready").inputs["triggers"] == {"files": "revision-of-redis-files"}


def test_servers_that_no_service_needs_are_declared_all_the_same() -> None:
    seen = declare(deploy, config={"nexus:services": '{"nexus-backend": {"enabled": false}}'})
    assert files(seen, "redis")["users.acl"].splitlines() == [
        "user default off",
        "user health on nopass -@all +ping +acl|load",
    ]
    assert not seen.of(UPSTREAM)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"nexus:unknown": "1"}, "unknown"),
        ({"nexus:portOffset": "-1"}, "portOffset"),
        ({"nexus:bind": "everywhere"}, "bind"),
        ({"nexus:services": '{"rabbitmq": {"enabled": true}}'}, "rabbitmq.kind"),
    ],
)
def test_a_wrong_setting_is_refused_before_any_resource_is_declared(config: dict[str, str], field: str) -> None:
    from tests.components import recorder

    seen = []
    with pytest.raises(ConfigError) as failure:
        seen = recorder.declare(deploy, config=config).resources
    assert field in failure.value.field and not seen
