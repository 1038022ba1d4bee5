"""Limits on how often a client may call, counted in the gateway or in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway, eventually
from tests.standins.redis import Counters

MINUTE = {"second": 1, "minute": 60, "hour": 3600}


@pytest.fixture
def counters(tmp_path: Path) -> Iterator[Counters]:
    server = Counters(tmp_path)
    yield server
    server.stop()


def fresh(period: str) -> None:
    """Wait for the next window when this one is nearly over, so that a test stays in one."""
    left = MINUTE[period] - time.time() % MINUTE[period]
    if left < 3 and period != "second":
        time.sleep(left + 0.1)


def test_requests_above_the_limit_are_answered_429_until_the_window_ends(kong: Gateway, echo: Make) -> None:
    server = echo("a")
    route(kong, server, {"name": "svc"})
    kong.post("/services/svc/plugins", name="rate-limiting", config={"minute": 3, "hour": 100})
    fresh("minute")
    for left in (2, 1, 0):
        answer = kong.proxy.get("/")
        assert answer.status_code == 200
        assert [answer.headers[f"x-ratelimit-{part}"] for part in ("limit-minute", "remaining-minute")] == [
            "3",
            str(left),
        ]
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == ("3", str(left))
        assert 0 < int(answer.headers["ratelimit-reset"]) <= 60
        assert answer.headers["x-ratelimit-limit-hour"] == "100"
    refused = kong.proxy.get("/")
    assert (refused.status_code, refused.json()["message"]) == (429, "API rate limit exceeded")
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert (refused.headers["ratelimit-remaining"], server.hits) == ("0", 3)


def test_a_second_is_over_soon(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"})
    kong.post("/services/svc/plugins", name="rate-limiting", config={"second": 1, "hide_client_headers": True})
    answers = [kong.proxy.get("/") for _ in range(5)]
    assert 429 in {answer.status_code for answer in answers}
    assert not any("ratelimit" in name for answer in answers for name in answer.headers)
    eventually(lambda: kong.proxy.get("/").status_code == 200, 2)


def test_each_consumer_and_each_service_is_counted_apart(kong: Gateway, echo: Make) -> None:
    for name in ("one", "two"):
        route(kong, echo(name), {"name": name}, paths=[f"/{name}"])
        kong.post(f"/services/{name}/plugins", name="key-auth")
        kong.post(f"/services/{name}/plugins", name="rate-limiting", config={"hour": 1})
    for user in ("ann", "bob"):
        kong.post("/consumers", username=user)
        kong.post(f"/consumers/{user}/key-auth", key=user)
    fresh("hour")
    seen = [kong.proxy.get(path, headers={"apikey": user}).status_code
            for path in ("/one", "/two") for user in ("ann", "bob", "ann")]  # fmt: skip
    assert seen == [200, 200, 429, 200, 200, 429]


def test_a_consumers_own_limit_comes_before_the_services(kong: Gateway, echo: Make) -> None:
    made = route(kong, echo("a"), {"name": "svc"})
    kong.post("/services/svc/plugins", name="key-auth")
    kong.post("/services/svc/plugins", name="rate-limiting", config={"hour": 50})
    vip = kong.post("/consumers", username="vip")
    kong.post("/consumers/vip/key-auth", key="k")
    kong.post(
        "/plugins", name="rate-limiting", config={"hour": 70}, consumer={"id": vip["id"]}, service=made["service"]
    )
    assert kong.proxy.get("/", headers={"apikey": "k"}).headers["ratelimit-limit"] == "70"


def test_gateways_count_together_in_redis(kong: Gateway, echo: Make, counters: Counters) -> None:
    made = route(kong, echo("a"), {"name": "svc"})
    config = {"minute": 2, "hour": 9, "policy": "redis", "redis": counters.settings, "limit_by": "ip"}
    plugin = kong.post("/services/svc/plugins", name="rate-limiting", config=config)
    fresh("minute")
    assert [kong.proxy.get("/").status_code for _ in range(4)] == [200, 200, 429, 429]
    window = int(time.time()) // 60 * 60 * 1000
    none = "00000000-0000-0000-0000-000000000000"
    key = f"ratelimit:{none}:{made['service']['id']}:127.0.0.1:{window}:minute"
    assert counters.ask("get", key) == "4"
    assert 0 < int(counters.ask("ttl", key)) <= 60
    counters.ask("set", key, "0")  # as another gateway would see, the counter is Redis'
    assert kong.proxy.get("/").status_code == 200
    assert kong.admin.delete(f"/plugins/{plugin['id']}").status_code == 204
    eventually(
        lambda: "name=kong" not in counters.ask("client", "list") and "user=kong" not in counters.ask("client", "list")
    )


def test_without_redis_requests_pass_or_fail_as_configured(kong: Gateway, echo: Make, counters: Counters) -> None:
    route(kong, echo("a"), {"name": "svc"})
    config = {"minute": 1, "policy": "redis", "redis": counters.settings}
    plugin = kong.post("/services/svc/plugins", name="rate-limiting", config=config)
    fresh("minute")
    assert [kong.proxy.get("/").status_code for _ in range(2)] == [200, 429]
    counters.stop()
    open_ = kong.proxy.get("/")
    assert (open_.status_code, "ratelimit-limit" in open_.headers) == (200, False)
    kong.admin.patch(f"/plugins/{plugin['id']}", json={"config": {"fault_tolerant": False}})
    assert kong.proxy.get("/").status_code == 500
