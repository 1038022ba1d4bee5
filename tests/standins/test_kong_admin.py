"""The Admin API: what is created, refused, found, changed and removed, with which status and body."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.standins.gateway import Gateway


def test_a_service_is_created_with_every_default(kong: Gateway) -> None:
    service = kong.post("/services", name="backend", url="http://example.com:8080/base")
    identity = {name: service.pop(name) for name in ("id", "created_at", "updated_at")}
    assert service == {
        "name": "backend", "protocol": "http", "host": "example.com", "port": 8080, "path": "/base", "retries": 5,
        "connect_timeout": 60000, "write_timeout": 60000, "read_timeout": 60000, "tags": None, "enabled": True,
        "client_certificate": None, "tls_verify": None, "tls_verify_depth": None, "ca_certificates": None,
    }  # fmt: skip
    assert identity["created_at"] == identity["updated_at"] > 1_700_000_000


def test_entities_are_found_by_id_and_by_name(kong: Gateway) -> None:
    service = kong.post("/services", name="backend", host="a")
    assert kong.admin.get("/services/backend").json() == service
    assert kong.admin.get(f"/services/{service['id']}").json() == service
    for missing in ("/services/none", f"/services/{uuid4()}", "/nothing", "/services/backend/nothing"):
        answer = kong.admin.get(missing)
        assert (answer.status_code, answer.json()) == (404, {"message": "Not found"})


def test_a_schema_violation_names_each_field(kong: Gateway) -> None:
    answer = kong.admin.post("/services", json={"port": "x", "foo": 1, "host": "a"})
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 2,
        "name": "schema violation",
        "message": "2 schema violations (foo: unknown field; port: expected an integer)",
        "fields": {"foo": "unknown field", "port": "expected an integer"},
    }


def test_an_element_that_is_wrong_is_reported_at_its_place(kong: Gateway) -> None:
    answer = kong.admin.post("/routes", json={"paths": ["/ok", "bad"]})
    assert answer.status_code == 400
    assert answer.json()["fields"] == {"paths": [None, "should start with: / (fixed path) or ~/ (regex path)"]}


def test_names_are_unique(kong: Gateway) -> None:
    kong.post("/services", name="backend", host="a")
    answer = kong.admin.post("/services", json={"name": "backend", "host": "b"})
    assert answer.status_code == 409
    assert answer.json() == {
        "code": 5,
        "name": "unique constraint violation",
        "message": "UNIQUE violation detected on '{name=\"backend\"}'",
        "fields": {"name": "backend"},
    }


def test_a_plugin_is_unique_in_its_scope(kong: Gateway) -> None:
    service = kong.post("/services", name="backend", host="a")
    kong.post("/plugins", name="cors")
    kong.post("/services/backend/plugins", name="cors")
    answer = kong.admin.post("/services/backend/plugins", json={"name": "cors"})
    assert answer.status_code == 409
    assert answer.json()["fields"] == {
        "name": "cors",
        "service": {"id": service["id"]},
        "route": None,
        "consumer": None,
    }


def test_a_reference_must_exist(kong: Gateway) -> None:
    nobody = str(uuid4())
    answer = kong.admin.post("/routes", json={"paths": ["/"], "service": {"id": nobody}})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], body["name"]) == (4, "foreign key violation")
    assert body["fields"] == {"service": {"id": nobody}}
    assert "does not reference an existing 'services' entity" in body["message"]


def test_a_reference_can_be_given_by_name(kong: Gateway) -> None:
    service = kong.post("/services", name="backend", host="a")
    assert kong.post("/routes", paths=["/"], service={"name": "backend"})["service"] == {"id": service["id"]}
    answer = kong.admin.post("/routes", json={"paths": ["/"], "service": {"name": "none"}})
    assert (answer.status_code, answer.json()["code"]) == (400, 13)


def test_a_service_with_routes_is_not_removed(kong: Gateway) -> None:
    kong.post("/services", name="backend", host="a")
    kong.post("/services/backend/routes", name="r", paths=["/"])
    answer = kong.admin.delete("/services/backend")
    assert answer.status_code == 400
    assert answer.json()["message"] == "an existing 'routes' entity references this 'services' entity"
    assert kong.admin.delete("/routes/r").status_code == 204
    assert kong.admin.delete("/services/backend").status_code == 204
    assert kong.admin.delete("/services/backend").status_code == 204


def test_owned_entities_go_with_their_owner(kong: Gateway) -> None:
    kong.post("/upstreams", name="pool")
    target = kong.post("/upstreams/pool/targets", target="10.0.0.1:80")
    kong.post("/consumers", username="ann")
    key = kong.post("/consumers/ann/key-auth")
    kong.post("/consumers/ann/plugins", name="correlation-id")
    assert kong.admin.delete("/upstreams/pool").status_code == 204
    assert kong.admin.delete("/consumers/ann").status_code == 204
    assert kong.admin.get(f"/targets/{target['id']}").status_code == 404
    assert kong.admin.get(f"/key-auths/{key['id']}").status_code == 404
    assert kong.admin.get("/plugins").json() == {"data": [], "next": None}


def test_put_creates_and_replaces(kong: Gateway) -> None:
    first = kong.admin.put("/services/backend", json={"host": "a", "retries": 1})
    assert (first.status_code, first.json()["name"]) == (200, "backend")
    second = kong.admin.put("/services/backend", json={"host": "b"}).json()
    assert (second["id"], second["host"], second["retries"]) == (first.json()["id"], "b", 5)
    own = str(uuid4())
    assert kong.admin.put(f"/services/{own}", json={"name": "other", "host": "c"}).json()["id"] == own
    unnamed = kong.admin.put(f"/services/{own}", json={"host": "c"}).json()
    assert unnamed["name"] is None


def test_patch_changes_only_what_it_names(kong: Gateway) -> None:
    kong.post("/services", name="backend", host="a", retries=1, path="/x", tags=["t"])
    changed = kong.admin.patch("/services/backend", json={"path": None, "retries": None, "host": "b"})
    assert changed.status_code == 200
    body = changed.json()
    assert (body["path"], body["retries"], body["host"], body["tags"]) == (None, 5, "b", ["t"])
    assert kong.admin.patch("/services/none", json={"host": "b"}).status_code == 404
    assert kong.admin.patch("/services/backend", json={"id": str(uuid4())}).json()["code"] == 2


@pytest.mark.parametrize(
    ("content", "kind", "status", "message"),
    [
        ("{", "application/json", 400, "Cannot parse JSON body"),
        ("[1]", "application/json", 400, "Cannot parse JSON body"),
        ("a", "text/plain", 415, "Unsupported media type"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    kong: Gateway, content: str, kind: str, status: int, message: str
) -> None:
    answer = kong.admin.post("/services", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (status, {"message": message})


def test_other_methods_are_not_allowed(kong: Gateway) -> None:
    for method, path in (
        ("DELETE", "/services"),
        ("PUT", "/routes"),
        ("POST", "/status"),
        ("POST", "/plugins/enabled"),
    ):
        answer = kong.admin.request(method, path)
        assert (answer.status_code, answer.json()) == (405, {"message": "Method not allowed"}), path
    assert kong.admin.options("/services").status_code == 204


def test_form_bodies_are_typed_by_the_schema(kong: Gateway) -> None:
    service = kong.admin.post("/services", data={"name": "f", "host": "a", "retries": "3", "enabled": "false"}).json()
    assert (service["retries"], service["enabled"]) == (3, False)
    fields = {"paths[]": ["/a", "/b"], "service.id": service["id"], "headers.x-a[]": ["1"], "strip_path": "false"}
    route = kong.admin.post("/routes", data=fields)
    assert route.status_code == 201, route.text
    assert (route.json()["paths"], route.json()["headers"], route.json()["strip_path"]) == (
        ["/a", "/b"],
        {"x-a": ["1"]},
        False,
    )
    plugin = kong.admin.post("/plugins", data={"name": "cors", "config.max_age": "5", "config.origins": "*"}).json()
    assert (plugin["config"]["max_age"], plugin["config"]["origins"]) == (5, ["*"])


def test_lists_come_in_pages(kong: Gateway) -> None:
    names = {kong.post("/services", name=f"s{n}", host="a")["name"] for n in range(7)}
    seen: list[str] = []
    path = "/services?size=3"
    while path:
        page = kong.admin.get(path).json()
        assert len(page["data"]) <= 3
        assert ("offset" in page) == (page["next"] is not None)
        seen += [s["name"] for s in page["data"]]
        path = page["next"]
    assert (len(seen), set(seen)) == (7, names)
    assert kong.admin.get("/services?size=0").json()["code"] == 9
    assert kong.admin.get("/services?size=x").json()["message"] == "size must be a number"
    assert kong.admin.get("/services?offset=%25").json()["code"] == 7


def test_entities_are_found_by_their_tags(kong: Gateway) -> None:
    for name, tags in (("one", ["a"]), ("two", ["a", "b"]), ("three", ["c"])):
        kong.post("/services", name=name, host="h", tags=tags)

    def found(query: str) -> set[str]:
        return {s["name"] for s in kong.admin.get(f"/services?tags={query}").json()["data"]}

    assert (found("a"), found("a,b"), found("b/c")) == ({"one", "two"}, {"two"}, {"two", "three"})
    assert kong.admin.get("/services?tags=").json()["code"] == 11
    assert {row["tag"] for row in kong.admin.get("/tags").json()["data"]} == {"a", "b", "c"}
    only = kong.admin.get("/tags/b").json()["data"]
    assert [(row["entity_name"], row["tag"]) for row in only] == [("services", "b")]


def test_nested_paths_stay_below_their_parent(kong: Gateway) -> None:
    for name in ("one", "two"):
        kong.post("/services", name=name, host="h")
    route = kong.post("/services/one/routes", name="r", paths=["/"])
    assert kong.admin.get("/services/one/routes").json()["data"] == [route]
    assert kong.admin.get("/services/two/routes").json()["data"] == []
    assert kong.admin.get("/services/one/routes/r").json() == route
    assert kong.admin.get("/services/two/routes/r").status_code == 404
    assert kong.admin.delete("/services/two/routes/r").status_code == 404
    assert kong.admin.get("/routes/r/service").json()["name"] == "one"
    assert kong.admin.patch("/routes/r/service", json={"retries": 2}).json()["retries"] == 2
    assert kong.admin.delete("/routes/r/service").status_code == 405


def test_a_plugin_is_checked_by_its_own_schema(kong: Gateway) -> None:
    def refused(**fields: Any) -> Any:
        answer = kong.admin.post("/plugins", json=fields)
        assert answer.status_code == 400
        return answer.json()["fields"]

    assert refused(name="nope") == {"name": "plugin 'nope' not enabled; add it to the 'plugins' configuration property"}
    assert refused(name="cors", config={"x": 1}) == {"config": {"x": "unknown field"}}
    assert refused(name="request-termination", config={"status_code": 99}) == {
        "config": {"status_code": "value should be between 100 and 599"}
    }
    assert refused(name="request-termination", config={"message": "m", "body": "b"}) == {
        "config": "message cannot be used with content_type or body"
    }
    consumer = kong.post("/consumers", username="ann")
    assert refused(name="cors", consumer={"id": consumer["id"]}) == {"consumer": "value must be null"}
    plugin = kong.post("/plugins", name="response-transformer", config={"add": {"headers": ["a:b"]}})
    assert plugin["config"]["add"] == {"headers": ["a:b"], "json": [], "json_types": []}
    changed = kong.admin.patch(f"/plugins/{plugin['id']}", json={"config": {"remove": {"headers": ["c"]}}}).json()
    assert (changed["config"]["add"]["headers"], changed["config"]["remove"]["headers"]) == (["a:b"], ["c"])


def test_schemas_and_plugins_can_be_asked_for(kong: Gateway) -> None:
    enabled = kong.admin.get("/plugins/enabled").json()["enabled_plugins"]
    assert {"cors", "correlation-id", "request-size-limiting", "response-transformer", "request-termination"} <= set(
        enabled
    )
    fields = {next(iter(f)): f for f in kong.admin.get("/schemas/services").json()["fields"]}
    assert fields["retries"]["retries"] == {"type": "integer", "default": 5, "between": [0, 32767]}
    config = {next(iter(f)): f for f in kong.admin.get("/schemas/plugins/cors").json()["fields"]}["config"]["config"]
    assert "credentials" in {next(iter(f)) for f in config["fields"]}
    assert kong.admin.get("/schemas/plugins/nope").json() == {"message": "No plugin named 'nope'"}
    fine = kong.admin.post("/schemas/services/validate", json={"host": "a"})
    assert (fine.status_code, fine.json()) == (200, {"message": "schema validation successful"})
    assert kong.admin.post("/schemas/services/validate", json={"host": 1}).status_code == 400
