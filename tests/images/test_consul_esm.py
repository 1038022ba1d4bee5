"""The monitor's stand-in against a real Consul: both run in their images, the checked server is this test's."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from components.consul import MONITOR_CONFIG, MONITOR_SETTINGS
from infra import images
from tests.hanging import hang
from tests.ports import free_port

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def consul(engine: Any, image: Any) -> Iterator[SimpleNamespace]:
    """A development Consul on the host's network, on a port of its own, with the monitor beside it."""
    from tests.images.conftest import LABEL

    ports = [free_port() for _ in range(5)]
    http_port, dns, serf, wan, rpc = ports
    flags = [f"-http-port={http_port}", f"-dns-port={dns}", f"-serf-lan-port={serf}", f"-serf-wan-port={wan}"]
    flags += [f"-server-port={rpc}", "-grpc-port=-1", "-grpc-tls-port=-1", "-bind=127.0.0.1", "-client=127.0.0.1"]
    settings = {"labels": {LABEL: "images"}, "network_mode": "host", "cap_drop": ["ALL"], "read_only": True}
    address = f"http://127.0.0.1:{http_port}"
    server = engine.containers.run(
        image("consul"),
        ["agent", "-dev", *flags],
        detach=True,
        user=images.contract("consul").user,
        environment=dict(images.contract("consul").environment),
        **settings,
    )
    monitor = engine.containers.run(
        image("consul-esm"),
        detach=True,
        user=images.contract("consul-esm").user,
        environment={"CONSUL_HTTP_ADDR": address},
        **settings,
    )
    with httpx.Client(base_url=f"{address}/v1", timeout=10) as client:
        yield SimpleNamespace(client=client, monitor=monitor, server=server)
    for container in (monitor, server):
        container.remove(force=True, v=True)


@pytest.fixture
def checked() -> Iterator[SimpleNamespace]:
    """A server whose answer the test decides; ``asked`` are the requests it saw."""
    state = SimpleNamespace(status=200, asked=[])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((time.monotonic(), dict(self.headers)))
            self.send_response(state.status)
            self.end_headers()
            self.wfile.write(b"body")

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.address = f"127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


def register(consul, node, definition, *, meta=None, status="critical"):
    body = {
        "Node": node,
        "Address": "127.0.0.1",
        "NodeMeta": meta or {"external-node": "true"},
        "Service": {"ID": f"{node}-web", "Service": "web", "Port": 80},
        "Checks": [
            {
                "CheckID": f"service:{node}",
                "Name": "web",
                "Status": status,
                "ServiceID": f"{node}-web",
                "Definition": definition,
            }
        ],
    }
    end = time.monotonic() + 30
    while True:  # Consul may be starting: no connection yet, then no leader yet
        try:
            consul.client.put("/catalog/register", json=body).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return


def checks(consul, node):
    return {check["CheckID"]: check for check in consul.client.get(f"/health/node/{node}").json()}


def becomes(consul, node, status, check_id="", within=10.0):
    end = time.monotonic() + within
    while True:
        check = checks(consul, node).get(check_id or f"service:{node}")
        if check and check["Status"] == status:
            return check
        assert time.monotonic() < end, f"{check}\n{consul.monitor.logs(tail=10).decode()}"
        time.sleep(0.05)


def test_a_new_check_runs_at_once_and_follows_the_server(consul, checked):
    began = time.monotonic()
    register(consul, "http", {"HTTP": f"http://{checked.address}/health", "Interval": "1s", "Timeout": "1s"})
    check = becomes(consul, "http", "passing")
    assert check["Output"] == f"HTTP GET http://{checked.address}/health: 200 OK Output: body"
    assert checked.asked[0][0] - began < 5
    checked.status = 503
    assert "503 Service Unavailable" in becomes(consul, "http", "critical")["Output"]
    checked.status = 429
    becomes(consul, "http", "warning")
    checked.status = 204
    becomes(consul, "http", "passing")
    assert checked.asked[0][1]["User-Agent"] == "Consul Health Check"


def test_a_check_keeps_its_definition_when_its_status_is_written(consul, checked):
    given = {"HTTP": f"http://{checked.address}/", "Method": "POST", "Header": {"X-Told": ["yes"]}, "Interval": "1s"}
    register(consul, "definition", {**given, "Timeout": "2s", "TLSSkipVerify": True})
    kept = becomes(consul, "definition", "passing")["Definition"]
    assert {key: kept[key] for key in given} == given
    assert (kept["Timeout"], kept["TLSSkipVerify"]) == ("2s", True)
    assert checked.asked[0][1]["X-Told"] == "yes"


def test_a_tcp_check_needs_only_a_connection(consul, checked):
    register(consul, "tcp", {"TCP": checked.address, "Interval": "1s"})
    assert becomes(consul, "tcp", "passing")["Output"] == f"TCP connect {checked.address}: Success"
    register(consul, "tcp", {"TCP": "127.0.0.1:1", "Interval": "1s"}, status="passing")
    assert "connection refused" in becomes(consul, "tcp", "critical")["Output"]


def test_a_changed_interval_takes_effect_at_once(consul, checked):
    register(consul, "interval", {"HTTP": f"http://{checked.address}/", "Interval": "1h"})
    becomes(consul, "interval", "passing")
    register(consul, "interval", {"HTTP": f"http://{checked.address}/", "Interval": "1s"}, status="passing")
    checked.status = 500
    becomes(consul, "interval", "critical")


def test_a_removed_service_is_no_longer_asked_and_does_not_come_back(consul, checked):
    register(consul, "gone", {"HTTP": f"http://{checked.address}/", "Interval": "1s"})
    becomes(consul, "gone", "passing")
    consul.client.put("/catalog/deregister", json={"Node": "gone"}).raise_for_status()
    time.sleep(0.5)
    before = len(checked.asked)
    time.sleep(2.5)
    assert len(checked.asked) == before
    assert checks(consul, "gone") == {}


def test_a_node_without_the_mark_is_left_alone(consul, checked):
    register(consul, "internal", {"HTTP": f"http://{checked.address}/", "Interval": "1s"}, meta={"other": "true"})
    time.sleep(1.5)
    assert checked.asked == []
    assert checks(consul, "internal")["service:internal"]["Status"] == "critical"


def beside(under, image):
    """The monitor as the component runs it, on a network where Consul is called consul."""
    contract = images.contract("consul-esm")
    return under.run(
        "consul-esm",
        image("consul-esm"),
        [f"-config-file={contract.secret(MONITOR_CONFIG)}"],
        env={"CONSUL_HTTP_ADDR": "http://consul:8500"},
        files={MONITOR_CONFIG: MONITOR_SETTINGS},
    )


def test_a_monitor_that_hangs_does_not_answer_its_health_check_and_one_without_consul_does(under, image):
    contract = images.contract("consul-esm")
    server = under.run("consul", image("consul"), ["-dev", "-client=0.0.0.0"])
    monitor = beside(under, image)
    under.answers(monitor, contract.health)
    server.stop(timeout=1)
    assert under.ask(monitor, contract.health)[0] == 0
    hang(monitor)
    assert under.ask(monitor, contract.health)[0] != 0


def test_a_node_that_asks_for_it_is_pinged(under, image):
    """On a network of their own, where the engine lets any user send an echo request."""
    options = ["-dev", "-client=0.0.0.0", '-bind={{ GetInterfaceIP "eth0" }}']
    server = under.run("consul", image("consul"), options, ports={"8500/tcp": ("127.0.0.1", 0)})
    monitor = beside(under, image)
    under.answers(server, images.contract("consul").health)
    under.answers(monitor, images.contract("consul-esm").health)
    server.reload()
    port = server.ports["8500/tcp"][0]["HostPort"]
    marks = {"external-node": "true", "external-probe": "true"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", timeout=10) as client:
        consul = SimpleNamespace(client=client, monitor=monitor)
        register(consul, "here", {"TCP": "127.0.0.1:1", "Interval": "1s"}, meta=marks)
        check = becomes(consul, "here", "passing", "externalNodeHealth", within=25)
    assert check["Name"] == "External Node Status"
    assert check["Output"] == "Node alive or reachable"


def test_the_monitor_is_a_service_with_a_passing_check_of_its_own(consul):
    services = consul.client.get("/health/service/consul-esm?passing=true").json()
    assert len(services) == 1
    assert services[0]["Service"]["ID"].startswith("consul-esm:")
    assert services[0]["Service"]["Meta"] == {"external-source": "consul-esm"}


def test_the_monitor_signs_off_when_it_is_stopped(consul):
    consul.monitor.stop(timeout=10)
    consul.monitor.reload()
    assert consul.monitor.attrs["State"]["ExitCode"] == 0
    assert consul.client.get("/health/service/consul-esm").json() == []
    consul.monitor.start()
