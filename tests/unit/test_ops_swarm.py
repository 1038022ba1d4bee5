"""A swarm as `nexus` sees it: decided on an engine's answers, without one."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from components._naming import data_node
from infra import catalog
from infra.settings import Settings
from ops import down, halfmade, objects, ports, preflight, repair, status, swarm, swarm_verb
from ops.errors import BAD_INPUT, MACHINE, Failure
from ops.halfmade import Pending
from ops.inputs import Inputs
from ops.objects import CONTAINER, NETWORK, SECRET, SERVICE_KIND, VOLUME, Object
from ops.workspace import Workspace

LABELS = {"nexus.stack": "prod", "nexus.service": "redis", "nexus.kind": "service", "nexus.stand-in": "false"}


def service(name: str = "redis", replicas: int = 1, ports: tuple[int, ...] = ()) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Spec": {
            "Name": f"nexus-prod-{name}",
            "Labels": {**LABELS, "nexus.service": name},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": "nexus/x:1"}},
            "EndpointSpec": {"Ports": [{"PublishedPort": port} for port in ports]},
        },
    }


def task(name: str = "redis", state: str = "running", wanted: str = "running") -> dict[str, Any]:
    stamp = "2026-01-01T00:00:00Z"
    return {"ServiceID": f"id-{name}", "DesiredState": wanted, "Status": {"State": state, "Timestamp": stamp}}


class Node:
    def __init__(self, identity: str, **labels: str) -> None:
        self.id = identity
        self.attrs = {"Spec": {"Role": "manager", "Labels": labels}, "Description": {"Hostname": f"host-{identity}"}}

    def update(self, spec: dict[str, Any]) -> None:
        self.attrs["Spec"] = spec


class Engine:
    """An engine's client: what it lists, and what was removed from it."""

    def __init__(self, *, active: bool = True, manager: bool = True, **lists: list[dict[str, Any]]) -> None:
        self.api, self.lists, self.removed, self.made = self, lists, [], []
        self.own = {"LocalNodeState": "active" if active else "inactive", "ControlAvailable": manager}
        self.own |= {"NodeID": "n1", "NodeAddr": "127.0.0.1", "Nodes": 1}
        self.cluster = [Node("n1"), Node("n2")]
        self.nodes = SimpleNamespace(list=lambda: self.cluster)
        self.swarm = SimpleNamespace(init=lambda **options: self.made.append(options))
        self.security: list[str] = []

    def info(self) -> dict[str, Any]:
        return {"Swarm": self.own, "SecurityOptions": self.security}

    def _listed(self, what: str, **_: Any) -> list[dict[str, Any]]:
        if what in ("services", "tasks", "secrets") and not self.own["ControlAvailable"]:
            raise APIError("", response=SimpleNamespace(status_code=503), explanation="not a manager")  # type: ignore[arg-type]
        return self.lists.get(what, [])

    def __getattr__(self, what: str) -> Any:
        if what.startswith("remove_"):
            return lambda identity, **_: self.removed.append(identity)
        return lambda **options: self._listed(what, **options)

    def volumes(self, **_: Any) -> dict[str, Any]:
        return {"Volumes": self.lists.get("volumes")}

    def inspect_network(self, _: str) -> dict[str, Any]:
        return {"Containers": {"lb-endpoint": {}}}

    def disconnect_container_from_network(self, *_: Any, **__: Any) -> None:
        raise NotFound("no such container")


def test_everything_with_the_label_is_listed_and_a_tasks_container_belongs_to_its_service() -> None:
    engine = Engine(
        services=[service()],
        containers=[
            {"Id": "c1", "Names": ["/nexus-prod-redis.1.x"], "Labels": {**LABELS, "com.docker.swarm.task": ""}},
            {"Id": "c2", "Names": ["/nexus-prod-kong-relay"], "Labels": LABELS},
        ],
        networks=[{"Id": "n1", "Name": "nexus-prod", "Labels": LABELS}],
        secrets=[{"ID": "s1", "Spec": {"Name": "nexus-prod-redis-1", "Labels": LABELS}}],
        volumes=[{"Name": "nexus-prod-redis-data", "Labels": LABELS}],
    )
    found = [(item.kind, item.name) for item in objects.inventory(engine, "prod")]  # type: ignore[arg-type]
    assert found == [
        (SERVICE_KIND, "nexus-prod-redis"),
        (CONTAINER, "nexus-prod-kong-relay"),
        (NETWORK, "nexus-prod"),
        (SECRET, "nexus-prod-redis-1"),
        (VOLUME, "nexus-prod-redis-data"),
    ]


def test_an_engine_that_manages_no_swarm_has_no_services_and_no_secrets() -> None:
    engine = Engine(active=False, manager=False, volumes=[{"Name": "v", "Labels": LABELS}])
    assert [item.kind for item in objects.inventory(engine, "prod")] == [VOLUME]  # type: ignore[arg-type]
    assert swarm.services(engine, "prod") == []  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [SERVICE_KIND, CONTAINER, NETWORK, SECRET, VOLUME])
def test_each_kind_can_be_removed(kind: str) -> None:
    engine = Engine()
    assert objects.remove(engine, Object(kind, "id", "nexus-prod-x", ""))  # type: ignore[arg-type]
    assert engine.removed == ["id"]


def test_what_the_state_does_not_know_is_removed_in_an_order_that_works_and_volumes_never() -> None:
    inventory = [Object(kind, kind, kind, "") for kind in (VOLUME, NETWORK, SECRET, CONTAINER, SERVICE_KIND)]
    left = repair.unknown(inventory, {"deployment": {"resources": [{"id": "x"}]}})
    assert [item.kind for item in left] == [SERVICE_KIND, CONTAINER, NETWORK, SECRET]


@pytest.mark.parametrize(("token", "kind"), [("service:Service", "services"), ("secret:Secret", "secrets")])
def test_a_half_made_service_or_secret_is_removed_by_its_name(token: str, kind: str) -> None:
    listed = [{"ID": "1", "Spec": {"Name": "nexus-prod-x"}}, {"ID": "2", "Spec": {"Name": "nexus-prod-xyz"}}]
    engine, pending = (
        Engine(**{kind: listed}),
        Pending("creating", f"docker:index/{token}", "u", {"name": "nexus-prod-x"}, ""),
    )
    halfmade.clean(pending, {"deployment": {}}, engine, lambda _: None)  # type: ignore[arg-type]
    assert engine.removed == ["1"]


@pytest.mark.parametrize(
    ("tasks", "health"),
    [
        ([task(), task()], "healthy"),
        ([task(), task(state="starting")], "starting"),
        ([task(), task(state="failed", wanted="shutdown")], "unhealthy"),
        ([], "unhealthy"),
    ],
)
def test_the_swarm_says_how_many_replicas_are_healthy(tasks: list[dict[str, Any]], health: str) -> None:
    settings = Settings(engine="swarm")
    chosen = Inputs("prod", settings, catalog.load(settings, "prod"))
    (found,) = swarm.services(Engine(services=[service(replicas=2)], tasks=tasks), "prod")  # type: ignore[arg-type]
    entry = next(entry for entry in chosen.services if entry.name == "redis")
    assert status.swarm_row(entry, found, None).health == health


def test_a_missing_service_is_missing_and_a_public_port_is_everybodys() -> None:
    settings = Settings(engine="swarm")
    entry = next(entry for entry in catalog.load(settings, "prod").enabled if entry.name == "kong")
    assert status.swarm_row(entry, None, None).state == "missing"
    listed = [service("kong", ports=(entry.ports["proxy"],))]
    (found,) = swarm.services(Engine(services=listed, tasks=[task("kong")]), "prod")  # type: ignore[arg-type]
    assert status.swarm_row(entry, found, None).endpoints == {"proxy": f"http://localhost:{entry.ports['proxy']}"}


def test_only_ports_that_can_be_reached_have_to_be_free() -> None:
    def wanted(engine: str) -> set[str]:
        settings = Settings.model_validate({"engine": engine})
        return {item.service for item in ports.wanted(Inputs("prod", settings, catalog.load(settings, "prod")))}

    assert {"postgres", "redis", "nexus-backend", "kong"} <= wanted("containers")
    assert {"postgres", "redis", "nexus-backend"}.isdisjoint(wanted("swarm")) and {"kong", "consul"} <= wanted("swarm")


def test_the_engines_own_node_keeps_the_data_and_another_one_is_refused() -> None:
    engine, said = Engine(), []
    swarm.claim(engine, "prod", "n1", said.append)  # type: ignore[arg-type]
    swarm.claim(engine, "prod", "n1", said.append)  # type: ignore[arg-type]
    assert engine.cluster[0].attrs["Spec"] == {"Role": "manager", "Labels": {data_node("prod"): "true"}}
    assert said == ["this node keeps the data of prod"]
    with pytest.raises(Failure, match="on another node of the swarm: host-n1") as failure:
        swarm.claim(engine, "prod", "n2", said.append)  # type: ignore[arg-type]
    assert failure.value.code == MACHINE
    swarm.release(engine, "prod")  # type: ignore[arg-type]
    assert engine.cluster[0].attrs["Spec"]["Labels"] == {}


def test_a_swarm_that_up_makes_is_reached_from_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(active=False)
    monkeypatch.setattr(swarm, "claim", lambda *_: engine.own.update(LocalNodeState="claimed"))
    monkeypatch.setattr(objects, "connect", lambda **_: _Open(engine))
    swarm.ensure("prod", lambda _: None)
    assert engine.made == [{"advertise_addr": "127.0.0.1", "listen_addr": "127.0.0.1:2377"}]
    assert engine.own["LocalNodeState"] == "claimed"


def test_a_worker_cannot_run_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "connect", lambda **_: _Open(Engine(manager=False)))
    with pytest.raises(Failure, match="is a worker of a swarm"):
        swarm.ensure("prod", lambda _: None)


class _Open:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("security", "result"), [(["name=no-new-privileges"], "ok"), (["name=seccomp"], "warning")])
def test_doctor_says_what_a_swarm_lacks(monkeypatch: pytest.MonkeyPatch, security: list[str], result: str) -> None:
    engine = Engine()
    engine.security = security
    monkeypatch.setattr(objects, "connect", lambda **_: _Open(engine))
    settings = Settings(engine="swarm")
    checks = {c.name: c.result for c in preflight.cluster(Inputs("prod", settings, catalog.load(settings, "prod")))}
    assert checks == {"swarm": "ok", "swarm hardening": result}
    settings = Settings()
    assert not list(preflight.cluster(Inputs("dev", settings, catalog.load(settings, "dev"))))


def test_a_protected_stack_is_refused_before_anything_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = [{"urn": "u::n::docker:index/volume:Volume::postgres-data", "protect": True}, {"urn": "u::n::t::other"}]
    workspace = SimpleNamespace(stack="prod", exists=lambda: True)
    monkeypatch.setattr(repair, "read", lambda _: {"deployment": {"resources": resources}})
    with pytest.raises(Failure, match="nothing was removed") as failure:
        down.refuse_protected(workspace)  # type: ignore[arg-type]
    assert failure.value.code == BAD_INPUT and "postgres-data" in failure.value.why
    monkeypatch.setattr(repair, "read", lambda _: {"deployment": {"resources": resources[1:]}})
    down.refuse_protected(workspace)  # type: ignore[arg-type]


def test_services_of_the_state_without_a_task_are_brought_back_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    rows = [
        {
            "urn": "u",
            "type": "docker:index/service:Service",
            "id": f"id-{name}",
            "inputs": {"name": f"nexus-prod-{name}"},
        }
        for name in ("redis", "kong")
    ]
    file = tmp_path / ".pulumi" / "stacks" / "nexus" / "prod.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": rows}}}))
    workspace = Workspace("prod", tmp_path, {"PULUMI_BACKEND_URL": tmp_path.as_uri()}, tmp_path)
    engine = Engine(services=[service("redis"), service("kong")], tasks=[task("redis")])
    monkeypatch.setattr(objects, "connect", lambda **_: _Open(engine))
    assert repair.stopped(workspace) == ["nexus-prod-kong"]


@pytest.mark.parametrize("address", ["nonsense", "10.0.0.256", ""])
def test_an_address_is_checked_before_the_engine_is_asked(address: str) -> None:
    with pytest.raises(Failure, match="is not an IP address"):
        swarm_verb.init(address)


def test_a_join_without_a_token_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(Failure, match="no token was given") as failure:
        swarm_verb.join("10.0.0.5")
    assert "swarm token" in failure.value.remedy


def test_a_token_for_a_swarm_that_nobody_can_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "connect", lambda **_: _Open(Engine()))
    with pytest.raises(Failure, match="no other machine can reach this swarm"):
        swarm_verb.token(manager=False)


def test_a_swarm_keeps_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_verb.engine, "ensure", lambda _: None)
    monkeypatch.setattr(objects, "connect", lambda **_: _Open(Engine()))
    with pytest.raises(Failure, match=r"has a swarm at 127\.0\.0\.1 already") as failure:
        swarm_verb.init("10.0.0.5")
    assert "docker swarm leave --force" in failure.value.remedy
    assert swarm_verb.init("127.0.0.1") == 0
