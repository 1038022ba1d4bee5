"""What the whole program declares for an environment, seen without any plugin."""

from __future__ import annotations

import json

import pytest
import yaml

from infra import catalog, images
from infra.entry import Service
from infra.errors import ConfigError
from infra.settings import ROOT, Settings
from infra.stack import deploy
from ops.inputs import Inputs
from tests.components.recorder import Recorder, declare

CONTAINER, UPSTREAM = "docker:index/container:Container", "kong:index/upstream:Upstream"
EXEC, JOB, FILES, TRIAL = "nexus:index:Exec", "nexus:index:Job", "nexus:index:Files", "nexus:index:Trial"
ENTRIES = catalog.load().enabled
APPLICATIONS = [entry for entry in ENTRIES if entry.kind == "service"]
#: What the entries bring along.
HELPERS = {"pgbouncer", "redis-cache", "consul-esm", "vault-keeper", "gateway-agent", "healer"}
#: The only container that is allowed more than the others, and what (infra/contracts.yaml says why).
EXCEPTIONS = {"healer": {"root", "socket"}}


@pytest.fixture(scope="module")
def dev() -> Recorder:
    return declare(deploy, stack="dev")


@pytest.fixture(scope="module")
def prod() -> Recorder:
    return declare(deploy, "prod", {"nexus:portOffset": "20000"})


def containers(recorder: Recorder) -> dict[str, dict]:
    """What is declared of each container, by the name that others reach it by."""
    return {r.inputs["hostname"]: r.inputs for r in recorder.of(CONTAINER)}


def instances(entry: Service) -> list[str]:
    return [entry.name, *(f"{entry.name}-{number}" for number in range(2, entry.replicas + 1))]


def files(recorder: Recorder, service: str) -> dict[str, str]:
    return recorder.one(f"{service}-files").inputs["files"]


def without(*names: str) -> dict[str, str]:
    """The settings of an environment that does not run these."""
    return {"nexus:services": json.dumps({name: {"enabled": False} for name in names})}


def test_each_instance_of_each_enabled_entry_is_a_container_and_so_are_the_helpers(dev: Recorder) -> None:
    assert set(containers(dev)) == {name for entry in ENTRIES for name in instances(entry)} | HELPERS
    helpers = {
        name
        for name, inputs in containers(dev).items()
        if {"label": "nexus.kind", "value": "helper"} in inputs["labels"]
    }
    assert helpers == HELPERS, "what is no entry does not count as a service"


def test_every_container_is_hardened_limited_and_checked(dev: Recorder) -> None:
    for name, inputs in containers(dev).items():
        assert inputs["readOnly"] is True, name
        assert inputs["capabilities"] == {"drops": ["ALL"]}, name
        assert inputs["securityOpts"] == ["no-new-privileges"], name
        assert inputs["memory"] == inputs["memorySwap"] > 0, name
        assert 0 < float(inputs["cpus"]) <= 64, name
        assert inputs["restart"] == "unless-stopped", name
        assert inputs["logOpts"] == {"max-size": "10m", "max-file": "3"}, name
        assert inputs["healthcheck"]["tests"][0] == "CMD" and len(inputs["healthcheck"]["tests"]) > 1, name
        assert not {"privileged", "pidMode", "ipcMode", "networkMode", "devices"} & {k for k, v in inputs.items() if v}


def test_the_engine_asks_each_container_for_itself_alone_and_an_up_also_for_what_it_needs(dev: Recorder) -> None:
    asked = {name: tuple(inputs["healthcheck"]["tests"][1:]) for name, inputs in containers(dev).items()}
    gates = {r.inputs["container"]: tuple(r.inputs["command"]) for r in dev.of(EXEC)}
    for name in ("kong", "kibana", "vault"):
        contract = images.contract(name)
        assert asked[name] == contract.alive != contract.health, name
        assert asked[name] != gates[containers(dev)[name]["name"]], name
    for entry in APPLICATIONS:
        assert (asked[entry.name][-1], gates[containers(dev)[entry.name]["name"]][-1]) == ("/health", "/ready")


def test_who_serves_nothing_is_heard_in_seconds_and_not_in_minutes(dev: Recorder) -> None:
    for name in ("healer", "gateway-agent", "vault-keeper"):
        assert "/tmp/alive" in containers(dev)[name]["healthcheck"]["tests"][-1], name
    assert not [name for name, inputs in containers(dev).items() if "-mmin" in str(inputs["healthcheck"])]
    slow = {name for name, inputs in containers(dev).items() if inputs["healthcheck"]["interval"] == "6s"}
    assert slow == {"rabbitmq", "elasticsearch"}, "these take longest to start"
    rest = [inputs for name, inputs in containers(dev).items() if name not in slow]
    assert {inputs["healthcheck"]["interval"] for inputs in rest} == {"10s"}


def test_the_number_of_its_processes_is_limited_for_every_container(dev: Recorder) -> None:
    limits = {r.inputs["container"]: r.inputs["pids"] for r in dev.of(EXEC)}
    assert set(limits) == {inputs["name"] for inputs in containers(dev).values()}
    assert all(8 <= limit <= 512 for limit in limits.values()), limits


def test_a_limit_in_the_catalogue_is_that_of_the_container(dev: Recorder) -> None:
    for entry in ENTRIES:
        for name in instances(entry):
            inputs = containers(dev)[name]
            assert (inputs["memory"], float(inputs["cpus"])) == (entry.memory, entry.cpus), name


def test_only_the_healer_is_root_or_has_the_engines_socket_and_its_contract_says_why(dev: Recorder) -> None:
    found: dict[str, set[str]] = {}
    for name, inputs in containers(dev).items():
        if inputs["user"].split(":")[0] == "0":
            found.setdefault(name, set()).add("root")
        mounted = {volume.get("hostPath") for volume in inputs.get("volumes") or []} - {None}
        assert mounted <= {"/var/run/docker.sock"}, f"{name} sees the host's files"
        if mounted:
            found.setdefault(name, set()).add("socket")
    assert found == EXCEPTIONS
    for name, allowed in EXCEPTIONS.items():
        assert {key for key, reason in images.contract(name).exceptions.items() if reason} == allowed
    every = yaml.safe_load((ROOT / "infra/contracts.yaml").read_text())["contracts"]
    assert {name for name in every if images.contract(name).exceptions} == set(EXCEPTIONS)


def test_every_port_is_bound_to_loopback_by_default(dev: Recorder) -> None:
    bound = {(p["external"], p["ip"]) for r in dev.of(CONTAINER) for p in r.inputs.get("ports") or []}
    assert bound == {(port, "127.0.0.1") for entry in ENTRIES for port in entry.ports.values()}


def test_bind_opens_the_gateway_and_leaves_databases_and_admin_on_loopback() -> None:
    seen = declare(deploy, config={"nexus:bind": "0.0.0.0"})
    bound = {p["external"]: p["ip"] for r in seen.of(CONTAINER) for p in r.inputs.get("ports") or []}
    gateway = catalog.load().by_name["kong"].extra_ports
    assert {port for port, ip in bound.items() if ip == "0.0.0.0"} == {gateway["proxy"], gateway["proxy_tls"]}


def test_no_secret_is_in_an_environment_or_a_command(dev: Recorder) -> None:
    for resource in dev.of(CONTAINER) + dev.of(JOB):
        exposed = str([resource.inputs.get(key) for key in ("envs", "environment", "command", "labels", "healthcheck")])
        assert "secret-of-" not in exposed, resource.name


def test_an_application_holds_one_secret_the_identity_by_which_vault_lends_it_the_rest(dev: Recorder) -> None:
    held = [files(dev, entry.name) for entry in APPLICATIONS]
    assert all(set(secrets) == {"vault-secret-id"} for secrets in held)
    assert len({secrets["vault-secret-id"] for secrets in held}) == len(APPLICATIONS), "no two are the same"
    (volume,) = containers(dev)["nexus-backend"]["volumes"]
    assert volume == {
        "volumeName": "nexus-dev-nexus-backend-files",
        "containerPath": "/run/secrets",
        "readOnly": True,
    }


def test_files_belong_to_the_user_who_reads_them(dev: Recorder) -> None:
    owners = {r.inputs["volume"]: r.inputs["owner"] for r in dev.of(FILES)}
    for name, inputs in containers(dev).items():
        for volume in inputs.get("volumes") or []:
            if volume.get("volumeName") in owners:
                assert (volume["readOnly"], owners[volume["volumeName"]]) == (True, inputs["user"]), name


def test_a_container_is_made_again_when_a_file_changes_that_it_reads_at_its_start(dev: Recorder) -> None:
    labels = {label["label"]: label["value"] for label in containers(dev)["redis"]["labels"]}
    assert labels["nexus.files"] == "digest-of-redis-files"


@pytest.mark.parametrize("entry", APPLICATIONS, ids=lambda entry: entry.name)
def test_every_application_has_an_identity_an_entry_in_consul_and_its_routes(dev: Recorder, entry: Service) -> None:
    name = entry.name
    role = next(
        r.inputs for r in dev.of("vault:appRole/authBackendRole:AuthBackendRole") if r.inputs["roleName"] == name
    )
    assert role["roleId"] == name and "service" in role["tokenPolicies"]
    listed = [
        r.inputs
        for r in dev.resources
        if r.type == "consul:index/service:Service" and r.name.startswith(f"{name}-discovery")
    ]
    assert len(listed) == entry.replicas and {one["name"] for one in listed} == {name}
    for number, route in enumerate(entry.routes):
        assert dev.one(f"{name}-routes-route-{number}").inputs["paths"] == [route.path]
    targets = {r.inputs["target"] for r in dev.of("kong:index/target:Target") if r.name.startswith(f"{name}-routes-")}
    assert targets == {f"{instance}:8000" for instance in instances(entry)}


def test_what_an_application_needs_is_what_vault_lends_it(dev: Recorder) -> None:
    def lent(kind: str) -> set[str]:
        return {r.inputs["name"] for r in dev.of(kind)}

    def needing(server: str) -> set[str]:
        return {entry.name for entry in APPLICATIONS if server in entry.needs}

    assert lent("vault:database/secretBackendRole:SecretBackendRole") == needing("postgres")
    assert lent("vault:rabbitMq/secretBackendRole:SecretBackendRole") == needing("rabbitmq")
    assert lent("vault:consul/secretBackendRole:SecretBackendRole") == {entry.name for entry in APPLICATIONS}


def test_every_server_but_consul_itself_is_listed_there_too(dev: Recorder) -> None:
    listed = {r.inputs["name"] for r in dev.of("consul:index/service:Service")}
    assert listed == {entry.name for entry in ENTRIES} - {"consul"}


def test_redis_is_given_only_a_digest_of_each_password(dev: Recorder) -> None:
    for server, kept in (("redis", "session"), ("redis-cache", "cache")):
        acl = files(dev, server)["users.acl"]
        users = {entry.name for entry in APPLICATIONS if "redis" in entry.needs and entry.redis == kept}
        assert users and all(f"user {name} on #" in acl and f"~{name}:*" in acl for name in users)
        assert "secret-of-" not in acl


def test_each_gate_asks_the_container_it_is_for(dev: Recorder) -> None:
    gates = {r.inputs["container"]: r.inputs for r in dev.of(EXEC)}
    assert set(gates) == {r.inputs["name"] for r in dev.of(CONTAINER)}
    assert gates["nexus-dev-nexus-backend"]["command"][-1] == "/ready"
    assert gates["nexus-dev-nexus-backend"]["containerId"] == "nexus-backend-server-id"


def test_the_databases_script_makes_an_owner_who_cannot_log_in_for_each_application(dev: Recorder) -> None:
    script = next(r.inputs["stdin"] for r in dev.of(EXEC) if r.inputs["container"] == "nexus-dev-postgres")
    for entry in APPLICATIONS:
        if "postgres" in entry.needs:
            assert f'ALTER ROLE "{entry.store}" NOLOGIN' in script, entry.name
            assert f"datname = '{entry.store}'" in script, entry.name
    assert "'secret-of-postgres-kong-password'" in script, "what is no application of ours logs in as the owner"


def test_the_gateway_leads_the_route_over_the_upstream_to_the_service(dev: Recorder) -> None:
    assert dev.one("nexus-backend-routes-route-0").inputs["paths"] == ["/api/v1"]
    assert (
        dev.one("nexus-backend-routes-gateway").inputs["host"]
        == dev.one("nexus-backend-routes-upstream").inputs["name"]
    )
    checks = dev.one("nexus-backend-routes-upstream").inputs["healthchecks"]
    assert checks["active"]["httpPath"] == "/health" and checks["active"]["healthy"]["interval"] == 10


def test_consul_lists_the_service_with_an_http_check_every_ten_seconds(dev: Recorder) -> None:
    (check,) = dev.one("nexus-backend-discovery-registration").inputs["checks"]
    assert (check["http"], check["interval"]) == ("http://nexus-backend:8000/health", "10s")
    assert dev.one("nexus-backend-discovery-node").inputs["meta"]["external-node"] == "true"


def test_objects_inside_servers_use_providers_that_know_the_running_servers(dev: Recorder) -> None:
    kong = next(r for r in dev.of("pulumi:providers:kong"))
    assert kong.inputs["kongAdminUri"] == "http://127.0.0.1:3100"
    for package in ("kong", "consul", "vault"):
        made = [r for r in dev.resources if r.type.startswith(f"{package}:")]
        assert made and all(f"pulumi:providers:{package}::{package}" in r.provider for r in made)


def test_two_environments_share_no_name_and_no_port(dev: Recorder, prod: Recorder) -> None:
    def claims(recorder: Recorder) -> set[object]:
        names = {
            r.inputs["name"]
            for t in (CONTAINER, "docker:index/volume:Volume", "docker:index/network:Network")
            for r in recorder.of(t)
        }
        names |= {r.inputs["volume"] for r in recorder.of(FILES)}
        return names | {p["external"] for r in recorder.of(CONTAINER) for p in r.inputs.get("ports") or []}

    assert claims(dev) and not claims(dev) & claims(prod)


def test_a_memory_setting_changes_one_container_only(dev: Recorder) -> None:
    changed = declare(deploy, config={"nexus:services": '{"search": {"memory": 256}}'})
    old, new = ({(r.type, r.name): r.inputs for r in seen.resources} for seen in (dev, changed))
    assert new.keys() == old.keys()
    assert {key[1] for key in new if new[key] != old[key]} == {"search-server", "search-trial"}
    assert new[TRIAL, "search-trial"]["version"] == old[TRIAL, "search-trial"]["version"], "so nothing is tried"


def test_another_service_restarts_nothing_that_runs(dev: Recorder) -> None:
    less = declare(deploy, config=without("users"))
    before, after = containers(less), containers(dev)
    assert after.keys() - before.keys() == {"users"}
    assert {name for name in before if before[name] != after[name]} == set()
    assert dev.one("redis-cache-files").inputs["live"] == ["users.acl"]
    assert dev.one("redis-cache-ready").inputs["triggers"] == {"files": "revision-of-redis-cache-files"}


def test_servers_that_no_service_needs_are_declared_all_the_same() -> None:
    seen = declare(deploy, config=without(*(entry.name for entry in APPLICATIONS)))
    assert files(seen, "redis-cache")["users.acl"].splitlines() == [
        "user default off ~* &* +@all",
        "user health on nopass -@all +ping +acl|load",
    ]
    assert not seen.of(UPSTREAM) and not seen.of(JOB)
    assert set(containers(seen)) >= {entry.name for entry in ENTRIES if entry.kind != "service"}


def test_up_makes_the_images_that_the_program_declares_and_no_others(dev: Recorder) -> None:
    chosen = Settings()
    made = Inputs("dev", chosen, catalog.load(chosen, "dev")).image_names
    declared = {r.name.removesuffix("-pulled") for r in dev.of("nexus:index:Image")}
    assert set(made) == declared


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"nexus:unknown": "1"}, "unknown"),
        ({"nexus:portOffset": "-1"}, "portOffset"),
        ({"nexus:bind": "everywhere"}, "bind"),
        (without("vault"), "needs"),
        ({"nexus:services": '{"postgres": {"replicas": 2}}'}, "postgres.replicas"),
        (
            without(*(e.name for e in ENTRIES if e.name != "redis")) | {"nexus:tlsData": "true"},
            "tlsData",
        ),
    ],
)
def test_a_wrong_setting_is_refused_before_any_resource_is_declared(config: dict[str, str], field: str) -> None:
    from tests.components import recorder

    seen = []
    with pytest.raises(ConfigError) as failure:
        seen = recorder.declare(deploy, config=config).resources
    assert field in failure.value.field and not seen


@pytest.mark.parametrize("entry", APPLICATIONS, ids=lambda entry: entry.name)
def test_a_version_of_an_application_is_tried_beside_what_runs_of_it(dev: Recorder, entry: Service) -> None:
    found, name = dev.one(f"{entry.name}-trial").inputs, f"nexus-dev-{entry.name}"
    running = dev.one(f"{entry.name}-server").inputs
    assert found["running"] == [f"nexus-dev-{instance}" for instance in instances(entry)]
    assert found["container"] == f"{name}-trial" and found["labels"]["nexus.kind"] == "helper"
    assert sorted(f"{key}={value}" for key, value in found["env"].items()) == sorted(running["envs"])
    assert (found["image"], found["user"], found["memory"]) == (running["image"], running["user"], running["memory"])
    assert found["checks"][0] == dev.one(f"{entry.name}-ready").inputs["command"]
    assert ["CMD", *found["checks"][1]] == running["healthcheck"]["tests"]
    gates = [dev.one(f"{instance}-ready").inputs for instance in instances(entry)]
    assert found["joins"] == entry.name
    assert [gate.get("relieves") for gate in gates] == [None] * (entry.replicas - 1) + [found["container"]]
    assert {gate["triggers"]["version"] for gate in gates} == {found["version"]}


@pytest.mark.parametrize(
    ("change", "made_again"),
    [({"image": "other:1"}, True), ({"port": 9999}, True), ({"memory": 256}, False), ({"replicas": 2}, False)],
)
def test_what_makes_containers_again_is_tried_and_nothing_else(dev: Recorder, change: dict, made_again: bool) -> None:
    changed = declare(deploy, config={"nexus:services": json.dumps({"search": change})})
    before, after = ({r.name: r.inputs["version"] for r in seen.of(TRIAL)} for seen in (dev, changed))
    assert {name for name in before if before[name] != after[name]} == ({"search-trial"} if made_again else set())
