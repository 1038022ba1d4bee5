"""Responses that the gateway keeps."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.standins.echo import Echo
from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway, eventually


@pytest.fixture
def origin(kong: Gateway, echo: Make) -> Echo:
    server = echo("a")
    route(kong, server, {"name": "svc"})
    return server


def cache(kong: Gateway, **config: Any) -> dict[str, Any]:
    return kong.post("/services/svc/plugins", name="proxy-cache", config={"strategy": "memory", **config})


def status(answer: httpx.Response) -> str:
    return answer.headers["x-cache-status"]


def test_a_kept_response_is_given_again_until_it_is_purged(kong: Gateway, origin: Echo) -> None:
    plugin = cache(kong)
    origin.headers = {"x-own": "1"}
    first, again = kong.proxy.get("/a?x=1&y=2"), kong.proxy.get("/a?y=2&x=1")
    assert (status(first), status(again), origin.hits) == ("Miss", "Hit", 1)
    assert (again.content, again.headers["x-own"], again.headers["age"]) == (first.content, "1", "0")
    assert [status(kong.proxy.get(path)) for path in ("/a?x=2", "/b")] == ["Miss", "Miss"]
    assert status(kong.proxy.post("/a?x=1&y=2")) == "Bypass"
    key = again.headers["x-cache-key"]
    assert kong.admin.get(f"/proxy-cache/{key}").json()["body"] == first.text
    assert kong.admin.delete(f"/proxy-cache/{plugin['id']}/caches/{key}").status_code == 204
    assert kong.admin.delete(f"/proxy-cache/{key}").status_code == 404
    assert status(kong.proxy.get("/a?x=1&y=2")) == "Miss"
    assert status(kong.proxy.get("/b")) == "Hit"
    assert kong.admin.delete("/proxy-cache").status_code == 204
    assert status(kong.proxy.get("/b")) == "Miss"


def test_only_what_is_configured_is_kept(kong: Gateway, origin: Echo) -> None:
    cache(kong, cache_ttl=1, response_code=[200], vary_headers=["Authorization"], content_type=["application/json"])
    origin.status = 404
    assert [status(kong.proxy.get("/")) for _ in range(2)] == ["Bypass", "Bypass"]
    origin.status = 200
    for user in ("ann", "bob"):
        asked = [kong.proxy.get("/", headers={"authorization": user}) for _ in range(2)]
        assert [status(a) for a in asked] == ["Miss", "Hit"]
        assert asked[1].json()["headers"]["authorization"] == user
    eventually(lambda: status(kong.proxy.get("/", headers={"authorization": "ann"})) in ("Refresh", "Miss"), 4)


def test_each_consumer_has_its_own_responses(kong: Gateway, origin: Echo) -> None:
    kong.post("/services/svc/plugins", name="key-auth")
    for user in ("ann", "bob"):
        kong.post("/consumers", username=user)
        kong.post(f"/consumers/{user}/key-auth", key=user)
    cache(kong)
    seen = [status(kong.proxy.get("/", headers={"apikey": user})) for user in ("ann", "bob", "ann")]
    assert seen == ["Miss", "Miss", "Hit"]
    assert kong.proxy.get("/").status_code == 401


def test_cache_control_is_honoured_when_told_so(kong: Gateway, origin: Echo) -> None:
    cache(kong, cache_control=True)
    assert [status(kong.proxy.get("/")) for _ in range(2)] == ["Bypass", "Bypass"]
    origin.headers = {"cache-control": "public, max-age=60"}
    assert [status(kong.proxy.get("/")) for _ in range(2)] == ["Miss", "Hit"]
    for header in ({"cache-control": "no-cache"}, {"authorization": "x"}):
        assert status(kong.proxy.get("/", headers=header)) == "Bypass"
    assert kong.proxy.get("/other", headers={"cache-control": "only-if-cached"}).status_code == 504
