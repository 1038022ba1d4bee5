"""The data path: matching, rewriting, balancing, health, failures, upgrades, plugins."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.standins.echo import Echo, upgrade
from tests.standins.gateway import Gateway, eventually, free_port

Make = Callable[[str], Echo]


def route(kong: Gateway, echo: Echo, service: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A route to the echo server over a service of its own."""
    made = kong.post("/services", host="127.0.0.1", port=echo.port, **(service or {}))
    return kong.post("/routes", service={"id": made["id"]}, **(fields or {"paths": ["/"]}))


def pool(kong: Gateway, targets: dict[str, int], service: dict[str, Any] | None = None, **upstream: Any) -> str:
    """An upstream with targets by weight, a service on it, a route /; the upstream's name."""
    kong.post("/upstreams", name="pool", **upstream)
    for target, weight in targets.items():
        kong.post("/upstreams/pool/targets", target=target, weight=weight)
    made = kong.post("/services", host="pool", **(service or {}))
    kong.post("/routes", service={"id": made["id"]}, paths=["/"])
    return "pool"


def health(kong: Gateway) -> dict[str, str]:
    return {t["target"]: t["health"] for t in kong.admin.get("/upstreams/pool/health").json()["data"]}


def test_without_a_route_the_answer_is_404(kong: Gateway) -> None:
    answer = kong.proxy.get("/none")
    assert answer.status_code == 404
    assert answer.json() == {
        "message": "no Route matched with those values",
        "request_id": answer.headers["x-kong-request-id"],
    }
    assert answer.headers["server"] == "kong/3.9.1"
    assert "x-kong-response-latency" in answer.headers
    assert kong.proxy.get("/none", headers={"accept": "text/html"}).headers["content-type"].startswith("text/html")


def test_the_upstream_sees_who_asked(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"path": "/base"}, paths=["/api"])
    answer = kong.proxy.get("/api/items?x=1&y=%20", headers={"host": "shop.test:99", "x-forwarded-for": "9.9.9.9"})
    seen = answer.json()
    assert seen["path"] == "/base/items?x=1&y=%20"
    headers = seen["headers"]
    assert headers["host"].startswith("127.0.0.1:")
    assert headers["x-forwarded-for"] == "9.9.9.9, 127.0.0.1"
    assert headers["x-real-ip"] == "127.0.0.1"
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == ("http", "shop.test")
    assert headers["x-forwarded-port"] == str(kong.proxy_port)
    assert (headers["x-forwarded-path"], headers["x-forwarded-prefix"]) == ("/api/items", "/api")
    assert headers["via"] == "1.1 kong/3.9.1"
    assert headers["x-kong-request-id"] == answer.headers["x-kong-request-id"]
    assert answer.headers["via"] == "1.1 kong/3.9.1"
    assert {"x-kong-upstream-latency", "x-kong-proxy-latency"} <= set(answer.headers)


def test_forwarding_headers_are_believed_from_trusted_peers_only(kong_binary: Path, tmp_path: Path, echo: Make) -> None:
    trusting = Gateway(kong_binary, tmp_path, KONG_TRUSTED_IPS="127.0.0.0/8").start()
    route(trusting, echo("a"))
    given = {
        "x-forwarded-proto": "https",
        "x-forwarded-host": "outer.test",
        "x-forwarded-port": "443",
        "x-real-ip": "7.7.7.7",
    }
    headers = trusting.proxy.get("/", headers=given).json()["headers"]
    assert {name: headers[name] for name in given} == given
    trusting.close()


def test_preserve_host_and_strip_path_follow_the_route(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), paths=["/keep"], preserve_host=True, strip_path=False)
    seen = kong.proxy.get("/keep/x", headers={"host": "shop.test"}).json()
    assert (seen["path"], seen["headers"]["host"]) == ("/keep/x", "shop.test")
    assert "x-forwarded-prefix" not in seen["headers"]


def test_the_more_specific_route_wins(kong: Gateway, echo: Make) -> None:
    servers = {name: echo(name) for name in ("path", "host", "wild", "post", "regex")}
    route(kong, servers["path"], paths=["/x"])
    route(kong, servers["host"], paths=["/x"], hosts=["a.test"])
    route(kong, servers["wild"], paths=["/x"], hosts=["*.test"])
    route(kong, servers["post"], paths=["/x"], methods=["POST"], hosts=["a.test"])
    route(kong, servers["regex"], paths=["~/x/[0-9]+$"])

    def hit(method: str, path: str, host: str) -> str:
        return kong.proxy.request(method, path, headers={"host": host}).json()["server"]

    assert hit("GET", "/x", "other") == "path"
    assert hit("GET", "/x", "a.test") == "host"
    assert hit("GET", "/x", "b.test") == "wild"
    assert hit("POST", "/x", "a.test") == "post"
    assert hit("GET", "/x/12", "other") == "regex"


def test_a_route_for_https_only_asks_for_it(kong: Gateway, echo: Make) -> None:
    made = route(kong, echo("a"), paths=["/"], protocols=["https"])
    refused = kong.proxy.get("/a")
    assert (refused.status_code, refused.json()["message"]) == (426, "Please use HTTPS protocol")
    kong.admin.patch(f"/routes/{made['id']}", json={"https_redirect_status_code": 301})
    moved = kong.proxy.get("/a?b=c", headers={"host": "shop.test"})
    assert (moved.status_code, moved.headers["location"]) == (301, "https://shop.test/a?b=c")
    secure = httpx.get(f"https://127.0.0.1:{kong.tls_port}/a", verify=False)
    assert secure.json()["headers"]["x-forwarded-proto"] == "https"


def test_bodies_pass_both_ways(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"))
    large = "x" * 300_000
    assert kong.proxy.post("/", content=large).json()["body"] == large
    assert kong.proxy.put("/", content=iter([b"one", b"two"])).json()["body"] == "onetwo"
    assert kong.proxy.head("/").content == b""


def test_responses_stream(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"))
    arrivals = []
    with kong.proxy.stream("GET", "/stream") as answer:
        for _ in answer.iter_raw():
            arrivals.append(time.monotonic())
    assert len(arrivals) == 2
    assert arrivals[1] - arrivals[0] > 0.15


def test_websockets_pass_through(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"))
    with upgrade(kong.proxy_port, "/socket") as connection:
        for message in (b"hello", b"again"):
            connection.sendall(message)
            assert connection.recv(100) == message
    eventually(lambda: [line for line in kong.lines() if line["uri"] == "/socket" and line["status"] == 101])


def test_weights_share_the_requests(kong: Gateway, echo: Make) -> None:
    a, b, c = echo("a"), echo("b"), echo("c")
    pool(kong, {a.target: 30, b.target: 10, c.target: 0})
    got = Counter(kong.proxy.get("/").json()["server"] for _ in range(80))
    assert got == {"a": 60, "b": 20}


def test_hashing_keeps_a_client_on_one_target(kong: Gateway, echo: Make) -> None:
    servers = [echo(name) for name in "abc"]
    pool(kong, {s.target: 100 for s in servers}, hash_on="header", hash_on_header="x-user", hash_fallback="ip")
    homes = set()
    for user in range(12):
        got = {kong.proxy.get("/", headers={"x-user": f"user {user}"}).json()["server"] for _ in range(4)}
        assert len(got) == 1
        homes |= got
    assert len(homes) > 1
    assert len({kong.proxy.get("/").json()["server"] for _ in range(4)}) == 1


def test_a_dead_target_is_retried_elsewhere(kong: Gateway, echo: Make) -> None:
    alive = echo("a")
    pool(kong, {f"127.0.0.1:{free_port()}": 100, alive.target: 100}, {"retries": 1})
    for _ in range(6):
        assert kong.proxy.post("/", content="x").json()["body"] == "x"
    assert alive.hits == 6


def test_without_retries_a_dead_target_is_seen(kong: Gateway, echo: Make) -> None:
    pool(kong, {f"127.0.0.1:{free_port()}": 100, echo("a").target: 100}, {"retries": 0})
    got = Counter(kong.proxy.get("/").status_code for _ in range(6))
    assert got == {200: 3, 502: 3}


def test_failures_have_their_own_answers(kong: Gateway, echo: Make) -> None:
    slow = echo("slow")
    slow.delay = 1
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"host": "127.0.0.1", "port": free_port()}, 502, "An invalid response was received from the upstream server"),
        ({"host": "127.0.0.1", "port": slow.port, "read_timeout": 150}, 504, "The upstream server is timing out"),
        ({"host": "no-such-name.invalid"}, 503, "name resolution failed"),
        ({"host": "empty"}, 503, "failure to get a peer from the ring-balancer"),
    ]
    kong.post("/upstreams", name="empty")
    for n, (service, status, message) in enumerate(cases):
        made = kong.post("/services", retries=0, **service)
        kong.post("/routes", service={"id": made["id"]}, paths=[f"/{n}"])
        answer = kong.proxy.get(f"/{n}")
        assert (answer.status_code, answer.json()["message"]) == (status, message)
    kong.post("/routes", paths=["/nowhere"])
    assert kong.proxy.get("/nowhere").json()["message"] == "no Service found with those values"


def test_only_safe_requests_are_repeated_after_a_timeout(kong: Gateway, echo: Make) -> None:
    slow, fast = echo("slow"), echo("fast")
    slow.delay = 1
    pool(kong, {slow.target: 100, fast.target: 100}, {"retries": 3, "read_timeout": 200})
    assert {kong.proxy.get("/").json()["server"] for _ in range(4)} == {"fast"}
    assert 504 in {kong.proxy.post("/", content="x").status_code for _ in range(2)}


def test_active_checks_take_a_target_out_and_back(kong: Gateway, echo: Make) -> None:
    a, b = echo("a"), echo("b")
    active = {
        "http_path": "/probe",
        "healthy": {"interval": 0.1, "successes": 2},
        "unhealthy": {"interval": 0.1, "http_failures": 2, "tcp_failures": 2},
    }
    pool(kong, {a.target: 100, b.target: 100}, healthchecks={"active": active})
    assert health(kong) == {a.target: "HEALTHY", b.target: "HEALTHY"}
    a.probe_status = 500
    eventually(lambda: health(kong)[a.target] == "UNHEALTHY")
    assert {kong.proxy.get("/").json()["server"] for _ in range(6)} == {"b"}
    a.probe_status = 200
    eventually(lambda: health(kong)[a.target] == "HEALTHY")
    assert {kong.proxy.get("/").json()["server"] for _ in range(6)} == {"a", "b"}
    b.close()
    eventually(lambda: health(kong)[b.target] == "UNHEALTHY")
    kong.admin.delete("/upstreams/pool")
    probes = a.probes
    time.sleep(0.4)
    assert a.probes <= probes + 1


def test_passive_checks_cut_a_failing_target_off(kong: Gateway, echo: Make) -> None:
    good, bad = echo("good"), echo("bad")
    bad.status = 500
    passive = {"unhealthy": {"http_failures": 3, "tcp_failures": 1}, "healthy": {"successes": 1}}
    pool(kong, {good.target: 100, bad.target: 100}, healthchecks={"passive": passive})
    statuses = Counter(kong.proxy.get("/").status_code for _ in range(20))
    assert statuses == {200: 17, 500: 3}
    assert health(kong) == {good.target: "HEALTHY", bad.target: "UNHEALTHY"}
    bad.status = 200
    assert kong.admin.put(f"/upstreams/pool/targets/{bad.target}/healthy").status_code == 204
    assert {kong.proxy.get("/").json()["server"] for _ in range(6)} == {"good", "bad"}


def test_with_no_healthy_target_the_answer_is_503(kong: Gateway, echo: Make) -> None:
    a = echo("a")
    pool(kong, {a.target: 100}, healthchecks={"passive": {"unhealthy": {"http_failures": 1}}})
    assert kong.admin.put(f"/upstreams/pool/targets/{a.target}/unhealthy").status_code == 204
    answer = kong.proxy.get("/")
    assert (answer.status_code, answer.json()["message"]) == (503, "failure to get a peer from the ring-balancer")
    summary = kong.admin.get("/upstreams/pool/health?balancer_health=1").json()["data"]
    assert summary["health"] == "UNHEALTHY"


def test_health_words_cover_the_other_cases(kong: Gateway, echo: Make) -> None:
    a = echo("a")
    pool(kong, {a.target: 100, "no-such-name.invalid:80": 100})
    assert health(kong) == {a.target: "HEALTHCHECKS_OFF", "no-such-name.invalid:80": "DNS_ERROR"}
    assert kong.admin.put(f"/upstreams/pool/targets/{a.target}/unhealthy").status_code == 400
    listed = kong.admin.get("/upstreams/pool/targets").json()["data"]
    assert [t["target"] for t in listed] == ["no-such-name.invalid:80", a.target]
    assert kong.admin.patch(f"/upstreams/pool/targets/{a.target}", json={"weight": 5}).json()["weight"] == 5


def test_requests_in_flight_finish_before_the_server_ends(kong_binary: Path, tmp_path: Path, echo: Make) -> None:
    slow = echo("slow")
    slow.delay = 0.6
    gateway = Gateway(kong_binary, tmp_path).start()
    route(gateway, slow)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(gateway.proxy.get("/").status_code))
    thread.start()
    eventually(lambda: slow.hits == 1)
    assert gateway.stop() == 0
    thread.join()
    assert answers == [200]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", gateway.proxy_port)) != 0
    gateway.close()


def test_every_request_is_logged_as_one_json_line(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"}, paths=["/logged"], name="rt")
    answer = kong.proxy.get("/logged/x?y=1")
    line = eventually(lambda: [d for d in kong.lines() if d["request_id"] == answer.headers["x-kong-request-id"]])[0]
    assert (line["status"], line["uri"], line["route"], line["service"]) == (200, "/logged/x?y=1", "rt", "svc")
    assert line["bytes"] == len(answer.content)


def test_plugins_change_requests_and_responses(kong: Gateway, echo: Make) -> None:
    server = echo("a")
    server.headers = {"x-old": "1", "x-secret": "s"}
    route(kong, server, {"name": "svc"})
    kong.post(
        "/plugins",
        name="correlation-id",
        config={"header_name": "X-Trace", "generator": "uuid", "echo_downstream": True},
    )
    kong.post(
        "/services/svc/plugins", name="request-size-limiting", config={"allowed_payload_size": 10, "size_unit": "bytes"}
    )
    transform = {"remove": {"headers": ["x-secret"], "json": ["path"]}, "rename": {"headers": ["x-old:x-new"]},
                 "add": {"headers": ["x-added:yes"], "json": ["extra:1"], "json_types": ["number"]}}  # fmt: skip
    kong.post("/services/svc/plugins", name="response-transformer", config=transform)
    answer = kong.proxy.post("/", content="1234567890")
    body = answer.json()
    assert body["headers"]["x-trace"] == answer.headers["x-trace"]
    assert ("path" in body, body["extra"]) == (False, 1)
    assert (answer.headers["x-new"], answer.headers["x-added"], "x-secret" in answer.headers) == ("1", "yes", False)
    for content in ("12345678901", iter([b"123456", b"78901"])):
        refused = kong.proxy.post("/", content=content)
        assert (refused.status_code, refused.json()["message"]) == (413, "Request size limit exceeded")
        assert "x-trace" in refused.headers


def test_preflight_requests_are_answered_for_the_upstream(kong: Gateway, echo: Make) -> None:
    server = echo("a")
    route(kong, server, {"name": "svc"})
    kong.post("/plugins", name="cors", config={
        "origins": ["https://app.test", "https://.*\\.dev\\.test"], "credentials": True, "max_age": 60,
        "methods": ["GET", "POST"], "exposed_headers": ["x-total"]})  # fmt: skip
    asked = {
        "origin": "https://app.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-a",
    }
    answer = kong.proxy.options("/", headers=asked)
    assert (answer.status_code, answer.content, server.hits) == (200, b"", 0)
    assert answer.headers["access-control-allow-origin"] == "https://app.test"
    assert answer.headers["access-control-allow-methods"] == "GET,POST"
    assert answer.headers["access-control-allow-headers"] == "x-a"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "60"
    plain = kong.proxy.get("/", headers={"origin": "https://x.dev.test"})
    assert plain.headers["access-control-allow-origin"] == "https://x.dev.test"
    assert plain.headers["access-control-expose-headers"] == "x-total"
    assert "access-control-allow-origin" not in kong.proxy.get("/", headers={"origin": "https://evil.test"}).headers


def test_the_most_specific_plugin_configuration_applies(kong: Gateway, echo: Make) -> None:
    made = route(kong, echo("a"), {"name": "svc"}, paths=["/one"], name="one")
    kong.post("/routes", paths=["/two"], name="two", service=made["service"])
    kong.post("/services/svc/plugins", name="request-termination", config={"status_code": 503})
    kong.post("/routes/two/plugins", name="request-termination", config={"status_code": 410, "message": "gone"})
    first, second = kong.proxy.get("/one"), kong.proxy.get("/two")
    assert (first.status_code, first.json()) == (503, {"message": "Service unavailable"})
    assert (second.status_code, second.json()) == (410, {"message": "gone"})
    plugin = kong.admin.get("/routes/two/plugins").json()["data"][0]
    kong.admin.patch(f"/plugins/{plugin['id']}", json={"enabled": False})
    assert kong.proxy.get("/two").status_code == 503


@pytest.mark.parametrize("path", ["/a/../b", "/%2e%2e/x", "//a", "/a%2Fb", "/ü", "/a%20b"])
def test_unusual_paths_reach_the_upstream_in_one_spelling(kong: Gateway, echo: Make, path: str) -> None:
    expected = {
        "/a/../b": "/b",
        "/%2e%2e/x": "/x",
        "//a": "/a",
        "/a%2Fb": "/a%2Fb",
        "/ü": "/%C3%BC",
        "/a%20b": "/a%20b",
    }
    route(kong, echo("a"))
    with socket.create_connection(("127.0.0.1", kong.proxy_port), timeout=5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        text = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert f'"path": "{expected[path]}"' in text
