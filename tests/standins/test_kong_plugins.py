"""The bundled plugins on real traffic."""

from __future__ import annotations

from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway


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
