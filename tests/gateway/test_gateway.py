"""The components' declarations at work: real requests through a gateway that they configured."""

from __future__ import annotations

import re
import time

from tests.gateway.conftest import World
from tests.standins.credentials import bearer, token
from tests.standins.gateway import eventually
from tests.standins.redis import PASSWORD


def test_a_second_up_changes_nothing_and_the_state_tells_no_password(world: World) -> None:
    assert world.stack.steps() == {}
    assert world.stack.steps("--refresh") == {}
    assert PASSWORD not in world.stack.run("stack", "export")
    assert PASSWORD not in world.stack.run("preview", "--diff")


def test_a_role_is_needed_where_the_entry_says_so(world: World) -> None:
    proxy = world.gateway.proxy
    seen = {
        (path, who): proxy.get(path, headers=headers).status_code
        for path in ("/api/v1/open/x", "/api/v1/team/x", "/api/v2/team/x")
        for who, headers in {
            "nobody": {},
            "forged": bearer(token(gw="user:v2")),
            "expired": bearer(token(gw="admin:v1", exp=1)),
            "user": bearer(token(gw="user:v1")),
            "admin": bearer(token(gw="admin:v1")),
        }.items()
    }
    by_path = {path: [code for (p, _), code in seen.items() if p == path] for path, _ in seen}
    assert by_path == {
        "/api/v1/open/x": [200, 200, 200, 200, 200],
        "/api/v1/team/x": [401, 401, 401, 200, 200],
        "/api/v2/team/x": [401, 401, 401, 403, 200],
    }


def test_what_clients_claim_about_themselves_never_gets_through(world: World) -> None:
    spoofed = {"x-consumer-username": "role-admin", "x-consumer-id": "1", "x-credential-identifier": "admin:v1"}
    sent = world.gateway.proxy.get("/api/v1/open/spoof", headers=spoofed).json()["headers"]
    assert sent["x-consumer-username"] == "anonymous"
    assert sent["x-anonymous-consumer"] == "true"
    assert "x-credential-identifier" not in sent


def test_an_api_key_stands_for_its_role_and_goes_no_further(world: World) -> None:
    key = world.stack.run("stack", "output", "ci", "--show-secrets").strip()
    answer = world.gateway.proxy.get("/api/v1/team/x", headers={"x-api-key": key})
    assert (answer.status_code, answer.json()["headers"]["x-consumer-groups"]) == (200, "user")
    assert "x-api-key" not in answer.json()["headers"]
    assert world.gateway.proxy.get("/api/v2/team/x", headers={"x-api-key": key}).status_code == 403
    assert world.gateway.proxy.get("/api/v1/team/x", headers={"x-api-key": key[::-1]}).status_code == 401
    assert key not in world.stack.run("stack", "export")


def test_above_the_limit_is_429_with_the_time_to_wait(world: World) -> None:
    left = 60 - time.time() % 60
    time.sleep(left + 0.1 if left < 5 else 0)
    answers = [world.gateway.proxy.get("/api/v1/busy") for _ in range(7)]
    assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
    assert [a.headers["ratelimit-remaining"] for a in answers] == ["4", "3", "2", "1", "0", "0", "0"]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert "ratelimit:" in world.counters.ask("keys", "*")


def test_a_failing_instance_is_cut_off_and_comes_back(world: World) -> None:
    bad, good = world.services["team"]
    user = bearer(token(gw="user:v1"))

    def servers(number: int) -> list[str]:
        answers = [world.gateway.proxy.get("/api/v1/team/x", headers=user) for _ in range(number)]
        return [a.json()["server"] for a in answers if a.status_code == 200]

    def health() -> dict[str, str]:
        data = world.gateway.admin.get("/upstreams/team.upstream/health").json()["data"]
        return {target["target"]: target["health"] for target in data}

    assert set(servers(4)) == {"team-1", "team-2"}
    bad.status = bad.probe_status = 503
    try:
        servers(8)
        assert health() == {bad.target: "UNHEALTHY", good.target: "HEALTHY"}
        assert servers(6) == ["team-2"] * 6
    finally:
        bad.status = bad.probe_status = 200
    eventually(lambda: health()[bad.target] == "HEALTHY", 6)
    assert set(servers(4)) == {"team-1", "team-2"}


def test_a_kept_answer_is_given_to_the_same_token_until_it_is_purged(world: World) -> None:
    proxy = world.gateway.proxy
    status = [
        proxy.get("/api/v1/open/kept", headers=headers).headers["x-cache-status"]
        for headers in ({}, {}, bearer("of-ann"), bearer("of-ann"), bearer("of-bob"))
    ]
    assert status == ["Miss", "Hit", "Miss", "Hit", "Miss"]
    assert world.gateway.admin.delete("/proxy-cache").status_code == 204
    assert proxy.get("/api/v1/open/kept").headers["x-cache-status"] == "Miss"


def test_every_answer_has_its_correlation_and_security_headers(world: World) -> None:
    given = world.gateway.proxy.get("/api/v1/open/h", headers={"x-correlation-id": "mine"})
    assert given.headers["x-correlation-id"] == given.json()["headers"]["x-correlation-id"] == "mine"
    for answer in (given, world.gateway.proxy.get("/api/v2/team/x"), world.gateway.proxy.get("/nowhere")):
        assert len(answer.headers["x-correlation-id"]) > 3
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "strict-transport-security" not in answer.headers


def test_a_request_that_is_too_large_or_of_a_foreign_origin_is_stopped(world: World) -> None:
    assert world.gateway.proxy.post("/api/v1/open/x", content=b"x" * (1 << 20)).status_code == 200
    assert world.gateway.proxy.post("/api/v1/open/x", content=b"x" * (1 << 20) + b"x").status_code == 413
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for origin, allowed in (("https://app.test", "https://app.test"), ("https://evil.test", "https://app.test")):
        answer = world.gateway.proxy.options("/api/v2/team/x", headers={"origin": origin, **asked})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, allowed)


def test_the_page_of_apis_is_there_for_everybody(world: World) -> None:
    page = world.gateway.proxy.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.search(r'"name": "team", "path": "/api/v1/team"', page.text)
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
