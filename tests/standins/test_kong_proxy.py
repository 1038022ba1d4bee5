"""The data path: matching, rewriting, balancing, health, failures, upgrades, plugins."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.standins.echo import upgrade
from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway, eventually


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
