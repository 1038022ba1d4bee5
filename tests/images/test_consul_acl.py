"""Consul as the platform runs it: nothing without a token, little with one, and a rotation that locks nobody out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from components import _consul_rules as rules
from components import consul, registration
from components.workload import Port
from infra import images

pytestmark = pytest.mark.engine

FIRST, SECOND = str(uuid.uuid4()), str(uuid.uuid4())


def spec() -> consul.ConsulSpec:
    return consul.ConsulSpec(
        stack="test",
        contract=images.contract("consul"),
        memory_mib=128,
        port=Port(container=8500, host=8500),
        grants={"reader": rules.READER},
        monitor=images.contract("consul-esm"),
    )


def files(token: str, grants: str) -> dict[str, str]:
    """What the component gives the container; the tokens of grants come from ``grants``."""
    made = {consul.GATE: (consul.HERE / consul.GATE).read_text(), **consul.of_management(token)}
    for name, allowed in spec().granted.items():
        made |= consul.of_grant(name, allowed, consul.token_of(grants + name))
    return made


class Registry:
    """A running Consul."""

    def __init__(self, under: Any, image: Any, token: str, data: str, grants: str = "first") -> None:
        work = consul.workload(spec())
        self.under, self.ready = under, work.ready
        self.container = under.run(
            "consul",
            image("consul"),
            work.command[1:],
            files=files(token, grants),
            data=data,
            ports={"8500/tcp": ("127.0.0.1", 0)},
        )
        under.answers(self.container, work.ready)
        self.container.reload()
        self.url = f"http://127.0.0.1:{self.container.ports['8500/tcp'][0]['HostPort']}/v1"

    def ask(self, method: str, path: str, token: str = "", **options: Any) -> httpx.Response:
        headers = {"X-Consul-Token": token} if token else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=10, trust_env=False, **options)

    def token(self, name: str, rules: str) -> str:
        """A token with a policy of its own."""
        body = {"Name": name, "Rules": rules}
        self.ask("PUT", "/acl/policy", FIRST, json=body).raise_for_status()
        made = self.ask("PUT", "/acl/token", FIRST, json={"Policies": [{"Name": name}]})
        return made.raise_for_status().json()["SecretID"]


@pytest.fixture
def place(under: Any, image: Any) -> Iterator[SimpleNamespace]:
    """Consul, and where to start another on its data."""
    volume = under.volume()
    yield SimpleNamespace(under=under, image=image, volume=volume, registry=Registry(under, image, FIRST, volume))


@pytest.fixture
def registry(place: SimpleNamespace) -> Registry:
    return place.registry


def listed(registry: Registry, name: str, token: str, query: str = "") -> list[str]:
    found = registry.ask("GET", f"/health/service/{name}?{query}", token).raise_for_status().json()
    return [entry["Node"]["Node"] for entry in found]


def entry(name: str, port: int = 8000, **more: Any) -> dict[str, Any]:
    return {"Node": f"test-{name}", "Address": name, "Service": {"Service": name, "Port": port}, **more}


def test_without_a_token_nothing_is_told_or_changed(registry: Registry) -> None:
    registry.ask("PUT", "/catalog/register", FIRST, json=entry("web")).raise_for_status()
    registry.ask("PUT", "/kv/services/web/limit", FIRST, content="1").raise_for_status()
    assert registry.ask("GET", "/catalog/nodes").json() == []
    assert registry.ask("GET", "/catalog/services").json() == {}
    assert registry.ask("GET", "/health/service/web").json() == []
    for method, path in (
        ("GET", "/kv/services/web/limit"),
        ("PUT", "/kv/services/web/limit"),
        ("PUT", "/catalog/register"),
        ("GET", "/agent/metrics"),
        ("GET", "/acl/tokens"),
    ):
        body = entry("other") if path == "/catalog/register" else None
        assert registry.ask(method, path, json=body).status_code == 403, path
    assert registry.ask("GET", "/kv/services/web/limit", "no-such-token").status_code == 403


def test_a_service_changes_its_own_and_nothing_of_others(registry: Registry) -> None:
    for name in ("web", "worker"):
        registry.ask("PUT", "/catalog/register", FIRST, json=entry(name)).raise_for_status()
        registry.ask("PUT", f"/kv/services/{name}/limit", FIRST, content="1").raise_for_status()
    web = registry.token(rules.policy_name("web"), rules.of_service("web"))

    assert listed(registry, "worker", web) == ["test-worker"], "a service finds the others"
    assert registry.ask("PUT", "/kv/services/web/limit", web, content="2").json() is True
    assert registry.ask("GET", "/kv/services/web/limit?raw", web).text == "2"
    own = {"Node": "test-web", "SkipNodeUpdate": True, "Service": {"Service": "web", "Port": 9000}}
    assert registry.ask("PUT", "/catalog/register", web, json=own).status_code == 200
    for method, path, body in (
        ("PUT", "/catalog/register", {**own, "Service": {"Service": "worker", "ID": "worker", "Port": 1}}),
        ("PUT", "/catalog/register", {**own, "Node": "test-worker", "Service": {"Service": "worker", "Port": 1}}),
        ("PUT", "/catalog/deregister", {"Node": "test-worker"}),
        ("PUT", "/kv/services/worker/limit", None),
        ("DELETE", "/kv/services/worker/limit", None),
        ("GET", "/kv/services/worker/limit", None),
        ("PUT", "/kv/services/web-other/limit", None),
        ("GET", "/acl/tokens", None),
        ("GET", "/agent/metrics", None),
    ):
        assert registry.ask(method, path, web, json=body).status_code == 403, (method, path)
    assert registry.ask("GET", "/kv/services/worker/limit?raw", FIRST).text == "1"


def test_metrics_are_for_a_reader(registry: Registry) -> None:
    reader = consul.token_of("firstreader")
    answer = registry.ask("GET", "/agent/metrics?format=prometheus", reader)
    assert "consul_runtime_alloc_bytes" in answer.text
    assert registry.ask("PUT", "/kv/any", reader, content="x").status_code == 403


def test_the_server_is_in_its_own_catalogue(registry: Registry) -> None:
    end = time.monotonic() + 10
    while listed(registry, "consul", FIRST) != ["consul"]:
        assert time.monotonic() < end, "its agent's token does not let it say so"
        time.sleep(0.2)


def test_new_tokens_replace_the_old_ones_and_no_other(place: SimpleNamespace) -> None:
    web = place.registry.token(rules.policy_name("web"), rules.of_service("web"))
    place.registry.container.stop()
    after = Registry(place.under, place.image, SECOND, place.volume, "second")
    assert after.ask("GET", "/acl/tokens", SECOND).status_code == 200
    assert after.ask("GET", "/acl/tokens", FIRST).status_code == 403
    assert after.ask("GET", "/acl/token/self", consul.token_of("secondreader")).status_code == 200
    assert after.ask("GET", "/acl/token/self", consul.token_of("firstreader")).status_code == 403
    assert after.ask("PUT", "/kv/services/web/limit", web, content="2").status_code == 200
    assert place.under.ask(after.container, after.ready) == (0, ""), "asked again it changes and says nothing"
    assert after.ask("GET", "/acl/tokens", SECOND).status_code == 200


def test_the_monitor_needs_no_more_than_its_own_token(place: SimpleNamespace, registry: Registry) -> None:
    work = consul.monitor(spec())
    secrets = {consul.TOKEN: consul.token_of("firstconsul-esm")}
    monitor = place.under.run("consul-esm", place.image("consul-esm"), env=work.env, files=secrets)
    check = {
        "Name": "http",
        "Definition": {"HTTP": "http://consul:8500/v1/status/leader", "Interval": "1s", "Timeout": "1s"},
    }
    body = entry("web", NodeMeta=registration.EXTERNAL, Check={**check, "CheckID": "web-health", "ServiceID": "web"})
    registry.ask("PUT", "/catalog/register", FIRST, json=body).raise_for_status()
    end = time.monotonic() + 20
    while listed(registry, "web", FIRST, "passing") != ["test-web"]:
        assert time.monotonic() < end, monitor.logs(tail=10).decode()
        time.sleep(0.2)
    assert listed(registry, "consul-esm", FIRST, "passing") == ["consul"]
    denied = [line for line in monitor.logs().decode().splitlines() if "denied" in line.lower()]
    assert denied == []


def test_a_dead_instance_leaves_the_answer_within_twenty_seconds(place: SimpleNamespace, registry: Registry) -> None:
    """With the interval and the time limit that the platform declares by default."""
    secrets = {consul.TOKEN: consul.token_of("firstconsul-esm")}
    place.under.run("consul-esm", place.image("consul-esm"), env=consul.monitor(spec()).env, files=secrets)
    serve = ["python3", "-m", "http.server", "8000", "--directory", "/opt"]
    servers = {name: place.under.run("service", place.image("service"), command=serve) for name in ("web", "web-2")}
    defaults = registration.RegistrationSpec(stack="test")
    for host, server in servers.items():
        place.under.network.disconnect(server)
        place.under.network.connect(server, aliases=[host])
        definition = {
            "HTTP": f"http://{host}:8000/",
            "Interval": f"{defaults.interval}s",
            "Timeout": f"{defaults.timeout}s",
        }
        body = {
            "Node": f"test-{host}",
            "Address": host,
            "NodeMeta": registration.EXTERNAL,
            "Service": {"Service": "web", "Port": 8000},
            "Check": {"CheckID": "web-health", "ServiceID": "web", "Name": "http", "Definition": definition},
        }
        registry.ask("PUT", "/catalog/register", FIRST, json=body).raise_for_status()
    wait_for(registry, ["test-web", "test-web-2"], 30)
    servers["web-2"].pause()  # hung: the slowest way to be dead, as the check runs into its time limit
    wait_for(registry, ["test-web"], 20)
    servers["web-2"].unpause()
    wait_for(registry, ["test-web", "test-web-2"], 20)
    servers["web"].kill()
    wait_for(registry, ["test-web-2"], 20)


def wait_for(registry: Registry, nodes: list[str], within: float) -> None:
    began = time.monotonic()
    while sorted(listed(registry, "web", FIRST, "passing")) != nodes:
        assert time.monotonic() - began < within, registry.ask("GET", "/health/service/web", FIRST).text
        time.sleep(0.2)
