"""Changes of a plan: their properties, causes and risks, from recorded events and from steps of the same shape."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import jsonschema
import pytest

from ops import changes, preview, risk, steps
from ops.errors import Failure
from ops.events import Tracker
from ops.paths import ROOT
from ops.risk import EXPOSES, LOSES, REPLACES, RESTARTS, SAFE, STOPS
from tests.unit.plans import RECORDED, SECRET, collect, event, previewed, recorded

SERVICE, VOLUME = "docker:index/service:Service", "docker:index/volume:Volume"
ROUTE, PLUGIN = "kong:index/route:Route", "kong:index/plugin:Plugin"
SCHEMA = json.loads((ROOT / "docs/schemas/preview.schema.json").read_text())
STREAMS = sorted(path.stem for path in RECORDED.glob("*.jsonl"))


def risks(*events: Any) -> dict[str, list[str]]:
    """Labels by name."""
    return {one.name: [each.label for each in one.risks] for one in collect(*events)}


def labelled(service: str, **inputs: Any) -> dict[str, Any]:
    return {"labels": [{"label": "nexus.service", "value": service}], **inputs}


# recorded plans


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_plan_becomes_a_document_of_the_schema_and_is_read_back_as_it_was(name: str) -> None:
    made = previewed(name)
    document = changes.document(made)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert changes.parse(json.dumps(document), "preview.json") == made


@pytest.mark.parametrize("name", STREAMS)
def test_every_change_that_the_engine_counts_is_told_once(name: str) -> None:
    events = recorded(name)
    counted = next(one["summaryEvent"]["resourceChanges"] for one in events if "summaryEvent" in one)
    found = Counter(one.op for one in previewed(name).changes)
    if name == "removed":  # two of each type are kept of this one
        assert found == {"delete": len(events) - 2}, "the stack itself and the summary are no changes"
    else:
        assert found == {op: count for op, count in counted.items() if op != "same"}


@pytest.mark.parametrize("name", STREAMS)
def test_every_type_that_the_platform_uses_has_a_row(name: str) -> None:
    for one in previewed(name).changes:
        assert "is not known here" not in str(one.risks), one.type


@pytest.mark.parametrize("name", STREAMS)
def test_every_delete_and_replace_says_why(name: str) -> None:
    for one in previewed(name).changes:
        assert bool(one.cause) == (one.op in ("delete", "replace")), one


@pytest.mark.parametrize(
    ("stream", "name", "expected", "why"),
    [
        ("added-service", "consul-server", ("replace", "cpus", RESTARTS), "about 4 s"),
        ("added-service", "consul-ready", ("update", "", SAFE), ""),
        ("added-service", "users-routes-route-0", ("create", "", SAFE), ""),
        ("labels", "users-routes-route-0", ("create", "", EXPOSES), "/api/v1/users takes anybody"),
        ("labels", "redis-server", ("replace", "labels[4]", RESTARTS), "about 2 s"),
        ("route", "nexus-backend-routes-route-0", ("update", "", EXPOSES), "/api/v1 takes anybody"),
        ("memory", "nexus-backend-server", ("update", "", SAFE), ""),
        ("swarm-image", "nexus-backend-server", ("update", "", RESTARTS), "rolling"),
        ("rotated", "postgres-migrator-password", ("replace", "keepers", SAFE), ""),
        ("removed", "redis-data", ("delete", changes.GONE, LOSES), "the volume"),
        ("removed", "files-server", ("delete", changes.GONE, STOPS), "nothing answers"),
        ("removed", "vault-engines-transit", ("delete", changes.GONE, LOSES), "under transit"),
        ("removed", "network-bridge", ("delete", changes.GONE, STOPS), ""),
    ],
)
def test_what_recorded_changes_risk(stream: str, name: str, expected: tuple[str, str, str], why: str) -> None:
    one = next(one for one in previewed(stream).changes if one.name == name)
    assert (one.op, one.cause, one.risk) == expected
    assert why in one.risks[0].why


def test_what_a_swarm_took_back_is_told_from_what_really_runs() -> None:
    one = next(one for one in previewed("swarm-image").changes if one.name == "nexus-backend-server")
    (image,) = one.properties
    assert image.old.startswith("sha256:4c4f") and image.new.startswith("sha256:390e")


# properties


def test_kinds_of_difference_are_read_as_the_engine_writes_them() -> None:
    one = next(one for one in previewed("added-service").changes if one.name == "vault-server")
    assert [(p.path, p.kind, p.old, p.new) for p in one.causes] == [("cpus", "add-replace", None, "1.0")]


def test_values_show_secrets_masked_and_unknown_ones_as_such() -> None:
    (one,) = collect(
        event(
            "replace",
            "kong-server",
            old={"image": "a", "envs": [SECRET]},
            new={"image": steps.UNKNOWN, "envs": [SECRET]},
            detailedDiff={"image": {"diffKind": "update-replace"}, "envs[0]": {"diffKind": "update"}},
        )
    )
    assert [(p.path, p.old, p.new) for p in one.properties] == [
        ("envs[0]", "[secret]", "[secret]"),
        ("image", "a", "(known after up)"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (SECRET, "hunter2"),
        ("hunter2", SECRET),
        ({"a": SECRET}, {"a": "hunter2"}),
        ([SECRET, "x"], ["x", "hunter2"]),
        ([{"a": SECRET}], [{"a": "hunter2"}]),
    ],
)
def test_a_value_stays_masked_when_it_loses_its_mark(old: Any, new: Any) -> None:
    (one,) = collect(event("update", "x", old={"p": old}, new={"p": new}, detailedDiff={"p": {"diffKind": "update"}}))
    assert "hunter2" not in repr(one)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", {"b": [{"c": "[secret]"}]}), ("a.b[0].c", "[secret]"), ("a.b[0].c.deeper", "[secret]"), ("a.b[7]", None),
     ('a["b"][0]["c"]', "[secret]"), ("nowhere.at.all", None), ('d["x.y"]', 1), ('d["say \\"so\\""]', 2)],
)  # fmt: skip
def test_values_are_found_by_path_and_secrets_never_shown(path: str, expected: Any) -> None:
    assert steps.value({"a": {"b": [{"c": SECRET}]}, "d": {"x.y": 1, 'say "so"': 2}}, path) == expected


def test_a_long_value_is_one_short_line() -> None:
    shown = changes.text({"text": "line\n" * 100})
    assert len(shown) <= changes.LONGEST and "\n" not in shown
    assert changes.text(None) == "(none)"


def test_items_of_a_set_that_only_moved_are_left_out() -> None:
    def label(value: str) -> dict[str, object]:
        return {"__defaults": [], "label": "nexus.files", "value": value}

    (one,) = collect(
        event(
            "replace",
            "redis-server",
            old={"labels": [label("same"), label("one")]},
            new={"labels": [label("same"), label("two")]},
            detailedDiff={"labels[0]": {"diffKind": "update-replace"}, "labels[1]": {"diffKind": "update-replace"}},
        )
    )
    (changed,) = one.properties
    assert (changed.path, changed.old) == ("labels[1]", {"label": "nexus.files", "value": "one"})


def test_without_details_the_changed_keys_are_told() -> None:
    (one,) = collect(event("replace", "x", old={"a": 1}, new={"a": 2}, keys=["a"], diffs=["a", "b"]))
    assert (one.cause, [p.kind for p in one.properties]) == ("a", ["update-replace", "update"])


# causes


def test_a_replacement_because_of_another_one_says_so() -> None:
    (one,) = collect(event("replace", "x", old={"a": 1}, new={"a": 1}))
    assert one.cause == changes.DEPENDS


def test_a_replacement_that_somebody_asked_for_says_so() -> None:
    (one,) = collect(event("replace", "x", taint=True))
    assert one.cause == changes.MARKED


def test_the_parts_of_a_replacement_are_one_change() -> None:
    found = collect(event("create-replacement", "x"), event("replace", "x", keys=["a"]), event("delete-replaced", "x"))
    assert [one.op for one in found] == ["replace"]


@pytest.mark.parametrize("beside", ["same", "update", ""])
def test_what_a_stopped_replacement_left_is_a_delete_that_is_never_dropped(beside: str) -> None:
    others = [event(beside, "x")] if beside else []
    found = collect(*others, event("delete-replaced", "x", VOLUME) if not others else event("delete-replaced", "x"))
    (left,) = [one for one in found if one.op == "delete"]
    assert left.cause == (changes.LEFT_OVER if beside else changes.GONE)


def test_the_worst_comes_first_and_what_removes_before_the_rest() -> None:
    found = collect(
        event("create", "a"), event("update", "b"), event("delete", "c"), event("delete", "d", VOLUME),
        event("replace", "e"), event("delete", "f", "nexus:index:Files"), event("same", "g"),
    )  # fmt: skip
    assert [one.name for one in found] == ["d", "c", "e", "f", "b", "a"]


# risks


@pytest.mark.parametrize(
    ("op", "label"), [("delete", LOSES), ("replace", REPLACES), ("update", SAFE), ("create", SAFE)]
)
@pytest.mark.parametrize(
    "type_", [VOLUME, "vault:kv/secretV2:SecretV2", "vault:transit/secretBackendKey:SecretBackendKey", "aws:s3:Bucket"]
)
def test_what_holds_data_or_is_not_known_loses_it(op: str, label: str, type_: str) -> None:
    assert risks(event(op, "x", type_))["x"] == [label]


def test_what_is_kept_loses_nothing_and_what_is_protected_says_that_up_refuses() -> None:
    assert risks(event("delete", "x", VOLUME, retainOnDelete=True))["x"] == [SAFE]
    (one,) = collect(event("delete", "x", VOLUME, protect=True))
    assert one.risk == LOSES and "protected" in one.risks[0].why


def test_a_container_alone_is_away_and_one_of_several_is_not() -> None:
    one = event("replace", "a-server", old=labelled("kong"), new=labelled("kong"))
    alone, *_ = collect(one)
    assert alone.risks[0].why == "about 3 s without an answer"
    tried, *_ = collect(one, event("update", "a-trial", "nexus:index:Trial"))
    assert tried.risks[0].why.startswith("rolling: the new version has proved itself")
    both = collect(one, event("replace", "a-2-server", old=labelled("kong"), new=labelled("kong")))
    assert [each.risks[0].why[:7] for each in both] == ["rolling", "rolling"]
    new = collect(one, event("create", "a-2-server", new=labelled("kong")))
    assert new[0].risks[0].why == "about 3 s without an answer", "the second is made only after the first"
    last = collect(one, event("delete", "a-2-server", old=labelled("kong")))
    assert [each.risks[0].why for each in last if each.op == "replace"] == ["about 3 s without an answer"]


@pytest.mark.parametrize(
    ("bind", "label"), [("127.0.0.1", SAFE), ("::1", SAFE), ("0.0.0.0", EXPOSES), ("10.0.0.5", EXPOSES), ("", EXPOSES)]
)
def test_a_port_that_others_reach_is_opened(bind: str, label: str) -> None:
    ports = {"ports": [{"internal": 80, "external": 4300, "ip": bind}]}
    assert risks(event("create", "x", new=ports))["x"] == [label]
    opened = risks(event("replace", "x", old={"ports": []}, new=ports))["x"]
    assert opened == ([EXPOSES, RESTARTS] if label == EXPOSES else [RESTARTS])
    assert risks(event("replace", "x", old=ports, new=ports))["x"] == [RESTARTS], "it was open before"


def swarm(op: str, path: str, *, order: str = "stop-first", replicas: int = 1) -> list[str]:
    inputs = {"mode": {"replicated": {"replicas": replicas}}, "updateConfig": {"order": order}}
    details = {path: {"diffKind": "update"}}
    return [each.why or each.label for each in collect(
        event(op, "x", SERVICE, old=labelled("kong", **inputs), new=labelled("kong", **inputs), detailedDiff=details)
    )[0].risks]  # fmt: skip


def test_services_of_a_swarm_roll_when_they_can() -> None:
    image = "taskSpec.containerSpec.image"
    assert swarm("update", image, order="start-first") == ["rolling: a new task answers before an old one ends"]
    assert swarm("update", image, replicas=3) == ["rolling: one of 3 tasks after the other"]
    assert swarm("update", image) == ["about 3 s without an answer"]
    assert swarm("update", "mode.replicated.replicas") == [SAFE]
    assert swarm("replace", "name", order="start-first") == ["about 3 s without an answer"]


def test_a_swarms_published_port_is_opened() -> None:
    ports = {"endpointSpec": {"ports": [{"targetPort": 8443, "publishedPort": 24300}]}}
    assert risks(event("create", "x", SERVICE, new=ports))["x"] == [EXPOSES]
    assert risks(event("update", "x", SERVICE, old=ports, new=ports))["x"] == [SAFE]
    unknown = {"endpointSpec": steps.UNKNOWN}
    assert risks(event("create", "x", SERVICE, new=unknown))["x"] == [SAFE]


def acl(name: str = "x-acl", allow: str = "user", **scope: str) -> dict[str, Any]:
    return {"name": "acl", "configJson": json.dumps({"allow": [allow]}), **(scope or {"serviceId": steps.UNKNOWN})}


def test_a_route_is_open_unless_its_service_or_itself_has_a_guard() -> None:
    routes = [event("create", f"x-route-{n}", ROUTE, new={"paths": [f"/{n}"]}, parent="P") for n in (0, 1)]
    assert risks(*routes) == {"x-route-0": [EXPOSES], "x-route-1": [EXPOSES]}
    whole = event("create", "x-acl", PLUGIN, new=acl(), parent="P")
    assert set(map(str, risks(*routes, whole).values())) == {"['safe']"}
    one = event("create", "x-acl-1", PLUGIN, new=acl(routeId=steps.UNKNOWN), parent="P")
    assert risks(*routes, one) == {"x-route-0": [EXPOSES], "x-route-1": [SAFE], "x-acl-1": [SAFE]}
    elsewhere = event("create", "y-acl", PLUGIN, new=acl(), parent="Q")
    assert risks(*routes, elsewhere)["x-route-0"] == [EXPOSES]
    asking = event("create", "x-jwt", PLUGIN, new={"name": "jwt", "serviceId": "s"}, parent="P")
    assert risks(*routes, asking)["x-route-0"] == [EXPOSES], "it lets anonymous ones through"
    off = event("create", "x-acl", PLUGIN, new={**acl(), "enabled": False}, parent="P")
    assert risks(*routes, off)["x-route-0"] == [EXPOSES]


def test_a_guard_that_goes_or_lets_others_in_opens_the_routes_that_stay() -> None:
    stays = event("same", "x-route-0", ROUTE, old={"paths": ["/a"]}, new={"paths": ["/a"]}, parent="P")
    goes = event("delete", "x-route-0", ROUTE, old={"paths": ["/a"]}, parent="P")
    removed = event("delete", "x-acl", PLUGIN, old=acl(), parent="P")
    assert risks(stays, removed)["x-acl"] == [EXPOSES]
    assert risks(goes, removed)["x-acl"] == [SAFE], "the route goes with it"
    wider = event("update", "x-acl", PLUGIN, old=acl(allow="admin"), new=acl(allow="user"), parent="P")
    assert risks(stays, wider)["x-acl"] == [EXPOSES]
    same = event("update", "x-acl", PLUGIN, old=acl(), new=acl(), parent="P")
    assert risks(stays, same)["x-acl"] == [SAFE]
    limits = event("delete", "x-rate-limiting", PLUGIN, old={"name": "rate-limiting"}, parent="P")
    assert risks(stays, limits)["x-rate-limiting"] == [SAFE]


def test_acknowledged_migrations_lose_data() -> None:
    def env(*revisions: str) -> dict[str, Any]:
        return {"env": {"NEXUS_MIGRATIONS": json.dumps([{"database": "users", "acknowledged": list(revisions)}])}}

    job = "nexus:index:Job"
    assert risks(event("update", "run", job, old=env(), new=env("0007")))["run"] == [LOSES]
    assert risks(event("update", "run", job, old=env("0007"), new=env("0007")))["run"] == [SAFE]


def test_every_rule_has_a_known_label_and_known_operations() -> None:
    for rule in risk.RULES:
        assert rule.label in risk.LABELS and set(rule.ops.split()) <= set(changes.ACTIONS)


# policies, documents, the verb's output


POLICY = {
    "policyEvent": {
        "resourceUrn": "urn:pulumi:dev::nexus::docker:index/container:Container::kong-server",
        "message": "the port is public\n", "policyName": "no-public-admin-port", "policyPackName": "nexus",
        "enforcementLevel": "mandatory",
    }
}  # fmt: skip


def test_policies_are_told_once_those_that_refuse_first() -> None:
    advice = {"policyEvent": {**POLICY["policyEvent"], "enforcementLevel": "advisory", "policyName": "a"}}
    made = previewed("dev", advice, POLICY, POLICY)
    assert [(one.policy, one.refuses, one.resource) for one in made.violations] == [
        ("no-public-admin-port", True, "kong-server"),
        ("a", False, "kong-server"),
    ]
    jsonschema.Draft202012Validator(SCHEMA).validate(changes.document(made))
    assert changes.parse(json.dumps(changes.document(made)), "x") == made and not made.quiet


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"stack": "dev", "steps": [{}], "policies": [], "changes": {"same": 0}}', "not json",
     json.dumps(changes.document(previewed("memory"))).replace('"safe"', '"<b>safe</b>"'),
     json.dumps(changes.document(previewed("memory"))).replace('"update"', '"@everyone"')],
)  # fmt: skip
def test_what_is_no_preview_is_refused_with_the_name_of_its_file(content: str) -> None:
    with pytest.raises(Failure, match=r"some\.json is no preview"):
        changes.parse(content, "some.json")


def test_text_says_what_a_change_risks_and_why_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    excepted = {
        "enforcementLevel": "advisory",
        "message": "the port is public; excepted until 2027-02-28 (platform): x",
    }
    policies = {"policyEvent": {**POLICY["policyEvent"], **excepted}}
    preview.show(previewed("dev", event("delete", "redis-data", VOLUME), policies), "text")
    shown = capsys.readouterr().out
    assert "- delete redis-data (docker:index/volume:Volume)" in shown
    assert "loses data: the volume and all in it" in shown and f"because: {changes.GONE}" in shown
    assert "policy exception: no-public-admin-port: 1 resource excepted until 2027-02-28 (platform): x" in shown
    assert "dev: 1 to delete, 0 unchanged, worst risk: loses data" in shown


def test_the_tracker_still_counts_what_stays() -> None:
    tracker = Tracker()
    changes.collect(recorded("memory"), tracker)
    assert tracker.changes["same"] == 189
