"""Upstreams: weights, hashing, retries, timeouts, active and passive health checks."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from tests.standins.entities import Make, health, pool
from tests.standins.gateway import Gateway, eventually, free_port


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
