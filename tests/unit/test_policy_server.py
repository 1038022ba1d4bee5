"""The policies as Pulumi's protocol has them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2

from policy import rules, server
from policy.exceptions import Exempt
from policy.model import UNKNOWN, Secret

TODAY = date(2026, 11, 23)
VOLUME = "docker:index/volume:Volume"
URN = f"urn:pulumi:prod::nexus::nexus:index:Postgres${VOLUME}::postgres-data"
EXEMPT = Exempt(
    policy="protected-data",
    stacks=("prod",),
    resources=("postgres-*",),
    reason="It is moved to another volume first.",
    owner="data",
    granted=TODAY,
    expires=date(2026, 12, 24),
)
STRING, NUMBER = "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "3eeb2bf0-c639-47a8-9e75-3b44932eb421"


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def request(type_: str = VOLUME, urn: str = URN, protect: bool = False, **values: Any) -> analyzer_pb2.AnalyzeRequest:
    options = analyzer_pb2.AnalyzerResourceOptions(protect=protect)
    return analyzer_pb2.AnalyzeRequest(type=type_, urn=urn, properties=struct(values), options=options)


def analyzer(*exempt: Exempt) -> server.Analyzer:
    return server.Analyzer(rules.ALL, exempt, TODAY)


def test_the_engine_is_told_every_policy() -> None:
    info = analyzer().GetAnalyzerInfo(None, None)
    assert {policy.name for policy in info.policies} == rules.NAMES
    assert all(policy.enforcementLevel == analyzer_pb2.MANDATORY for policy in info.policies)
    assert all(policy.remediation_steps and policy.severity for policy in info.policies)


def test_a_violation_stops_the_run_and_says_what_to_do() -> None:
    (found,) = analyzer().Analyze(request(name="a"), None).diagnostics
    assert (found.policyName, found.urn, found.enforcementLevel) == ("protected-data", URN, analyzer_pb2.MANDATORY)
    assert "nexus:protect: true" in found.message


def test_one_with_an_exception_is_shown_and_stops_nothing() -> None:
    (found,) = analyzer(EXEMPT).Analyze(request(name="a"), None).diagnostics
    assert found.enforcementLevel == analyzer_pb2.ADVISORY
    assert "until 2026-12-24 (data): It is moved" in found.message


def test_what_keeps_the_policies_or_has_none_says_nothing() -> None:
    assert not analyzer().Analyze(request(name="a", protect=True), None).diagnostics
    assert not analyzer().Analyze(request("nexus:index:Kong"), None).diagnostics
    assert not analyzer().Remediate(request(name="a"), None).remediations


def test_the_stack_is_looked_at_with_what_depends_on_what() -> None:
    route = analyzer_pb2.AnalyzerResource(
        type="kong:index/route:Route",
        urn="urn:pulumi:prod::nexus::kong:index/route:Route::users-0",
        properties=struct({"paths": ["/api/v1/users"], "serviceId": STRING, "tags": ["auth:user"]}),
    )
    origin = analyzer_pb2.AnalyzerPropertyDependencies(urns=[route.urn])

    def plugin(name: str, **values: Any) -> analyzer_pb2.AnalyzerResource:
        return analyzer_pb2.AnalyzerResource(
            type="kong:index/plugin:Plugin",
            urn=f"urn:pulumi:prod::nexus::kong:index/plugin:Plugin::{name}",
            properties=struct({"name": name, **values}),
            propertyDependencies={"routeId": origin} if name == "acl" else {},
        )

    guarded = analyzer_pb2.AnalyzeStackRequest(resources=[route, plugin("jwt"), plugin("acl", routeId=STRING)])
    assert not analyzer().AnalyzeStack(guarded, None).diagnostics
    open_ = analyzer_pb2.AnalyzeStackRequest(resources=[route, plugin("jwt")])
    (found,) = analyzer().AnalyzeStack(open_, None).diagnostics
    assert (found.policyName, found.urn) == ("route-auth", route.urn)


def test_of_a_server_that_is_still_to_be_made_the_inputs_are_judged() -> None:
    """The engine tells of no outputs then."""
    looking = analyzer()
    urns = {kind: f"urn:pulumi:prod::nexus::kong:index/{kind.lower()}:{kind}::one" for kind in ("Route", "Plugin")}
    given = {"Route": {"paths": ["/x"], "tags": ["auth:user"]}, "Plugin": {"name": "jwt"}}
    for kind, urn in urns.items():
        type_ = urn.split("::")[2]
        assert not looking.Analyze(request(type_, urn, **given[kind]), None).diagnostics
    empty = [analyzer_pb2.AnalyzerResource(type=urn.split("::")[2], urn=urn) for urn in urns.values()]
    (found,) = looking.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=empty), None).diagnostics
    assert "/x says user, and no plugin asks for it" in found.message


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"a": "b"}, {"a": "b"}),
        ({"a": [1, True, None]}, {"a": [1, True, None]}),
        ({"a": STRING, "b": NUMBER}, {"a": UNKNOWN, "b": UNKNOWN}),
        ({"a": {server.SIGNATURE: server.SECRET, "value": "x"}}, {"a": Secret("x")}),
        ({"a": {server.SIGNATURE: server.SECRET, "value": STRING}}, {"a": Secret(UNKNOWN)}),
    ],
)
def test_values_are_read_as_the_engine_marks_them(sent: dict[str, Any], read: dict[str, Any]) -> None:
    assert server.mapping(struct(sent)) == read


def test_a_secret_does_not_show_its_value() -> None:
    assert "hunter2" not in repr(Secret("hunter2"))
