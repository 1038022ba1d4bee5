"""The dashboards: one for each service that is measured, with the panels whose metrics it has."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.models import units
from prometheus_client.parser import text_string_to_metric_families

from infra import catalog, dashboards, images
from infra.dashboards.boards import FEATURES
from infra.dashboards.panels import Panels, load
from infra.dashboards.render import fill, known
from infra.settings import ROOT
from services.common.metrics import Metrics
from services.common.settings import Settings
from tests import promql

ENTRIES = catalog.load().enabled
APPLICATIONS = {entry.name for entry in ENTRIES if entry.kind == "service"}
SERVERS = {entry.name for entry in ENTRIES if entry.kind in load().servers}
#: Metrics that Prometheus makes by itself, whatever it scrapes.
ITS_OWN = {"up", "scrape_duration_seconds", "ALERTS"}


def drawn(jobs: set[str] | None = None, text: str | None = None) -> dict[str, dict[str, Any]]:
    entries = catalog.load(text=text).enabled if text else ENTRIES
    jobs = APPLICATIONS | SERVERS | {"rabbitmq-queues"} if jobs is None else jobs
    return {file.removesuffix(".json"): json.loads(made) for file, made in dashboards.files(entries, jobs).items()}


@pytest.fixture(scope="module")
def boards() -> dict[str, dict[str, Any]]:
    return drawn()


def titles(board: dict[str, Any]) -> set[str]:
    return {panel["title"] for panel in board["panels"]}


def named(board: dict[str, Any]) -> set[str]:
    return {metric for _, expression in promql.targets(board) for metric in promql.metrics(expression)}


def exported() -> set[str]:
    """The names of all metrics that an application can have."""
    metrics = Metrics(Settings(service="x", stack="x"), ())
    for counter in (metrics.cache, metrics.published, metrics.consumed, metrics.completions):
        counter.labels("x").inc()
    metrics.requests.labels("GET", "/", "200").inc()
    metrics.duration.labels("GET", "/").observe(1)
    document = metrics.exposition("")[0].decode()
    samples = {s.name for family in text_string_to_metric_families(document) for s in family.samples}
    return samples | set(re.findall(r"^# TYPE (\w+) ", document, re.MULTILINE))  # those without samples yet


def test_every_measured_service_has_a_dashboard_and_no_other_has(boards):
    assert set(boards) == {"platform"} | {f"service-{name}" for name in APPLICATIONS | SERVERS}
    assert set(drawn({"files", "grafana"})) == {"platform", "service-files", "service-grafana"}
    assert len(APPLICATIONS) == 20


def test_a_33rd_service_has_one_by_its_entry_alone():
    text = catalog.FILE.read_text() + "\norders: {group: application, port: 4400, needs: [postgres, redis]}\n"
    made = drawn({"orders"}, text)["service-orders"]
    assert "Cache" in titles(made) and {"job"} == set(re.findall(r'(\w+)="orders"', json.dumps(made).replace("\\", "")))


def test_an_identity_never_changes_and_fits_grafanas_forty_characters(boards):
    for name, board in boards.items():
        assert board["uid"] == name and len(name) <= 40
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
    assert dashboards.files(ENTRIES, APPLICATIONS) == dashboards.files(ENTRIES, APPLICATIONS)


@pytest.mark.parametrize(
    ("service", "has", "lacks"),
    [
        ("files", {"Cache", "Items stored", "Connections in use"}, {"Messages sent", "Completions"}),
        ("events", {"Messages sent"}, {"Messages received", "Cache", "Connections in use"}),
        ("transform", {"Messages sent", "Messages received"}, {"Items stored", "Cache"}),
        ("search", {"Messages received", "Cache"}, {"Messages sent", "Items stored"}),
        ("audit", {"Messages received", "Connections in use"}, {"Cache", "Messages sent"}),
        ("ai", {"Completions", "Tokens of completions"}, {"Cache", "Messages sent"}),
        ("auth", {"Rate", "Latency", "Connections in use"}, {"Cache", "Items stored"}),
    ],
)
def test_a_service_has_the_panels_whose_metrics_it_has(boards, service, has, lacks):
    shown = titles(boards[f"service-{service}"])
    assert has | {"Rate", "Latency", "In flight", "Memory", "CPU"} <= shown
    assert not lacks & shown


def test_what_the_gateway_counts_is_shown_where_the_gateway_is_scraped():
    without = drawn(APPLICATIONS)
    for board in (without["platform"], without["service-files"]):
        assert not [metric for metric in named(board) if metric.startswith("kong_")]
        assert not {"Gateway", "At the gateway"} & titles(board)
    assert "kong_http_requests_total" in named(drawn(APPLICATIONS | {"kong"})["service-files"])


def test_every_expression_parses_and_is_zero_while_there_is_no_such_series(boards):
    for board in boards.values():
        for title, expression in promql.targets(board):
            assert promql.metrics(expression) or expression.startswith("vector("), title
            assert "<" not in expression, f"{title}: a placeholder was left"
        for panel in board["panels"]:
            if panel["type"] in ("timeseries", "stat"):
                for target in panel["targets"]:
                    assert re.search(r"^vector\(|or on\(\) (vector|label_replace)\(", target["expr"]), panel["title"]


def test_applications_are_asked_for_no_metric_that_they_do_not_export(boards):
    known_here = exported() | ITS_OWN
    for name in APPLICATIONS:
        asked = {metric for metric in named(boards[f"service-{name}"]) if not metric.startswith("kong_")}
        assert asked <= known_here, name


def test_a_quantile_of_no_requests_is_zero_and_not_no_number(boards):
    for board in boards.values():
        for title, expression in promql.targets(board):
            if "histogram_quantile" in expression or " / sum(" in expression:
                assert ">= 0" in expression, title


def test_panels_fill_the_grid_without_covering_each_other(boards):
    for board in boards.values():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert at["x"] + at["w"] <= 24 and not cells & taken, f"{board['title']}: {panel['title']}"
            taken |= cells


def test_units_are_grafanas_own_and_each_panel_names_its_source_and_its_queries(boards):
    every = {value for value in vars(units).values() if isinstance(value, str)}
    for board in boards.values():
        for panel in board["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
            letters = [target["refId"] for target in panel["targets"]]
            assert letters == sorted(set(letters)) and letters[0] == "A"
            defaults = panel["fieldConfig"].get("defaults", {})
            overridden = [p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"]]
            assert defaults.get("unit", "short") in every
            assert all(value in every for value in overridden if isinstance(value, str))


def test_the_overview_counts_the_whole_catalogue_and_leads_to_every_dashboard(boards):
    overview = boards["platform"]
    (up,) = [panel for panel in overview["panels"] if panel["title"] == "Services up"]
    assert [target["expr"] for target in up["targets"]][1:] == [f"vector({len(boards) - 1})", "vector(32)"]
    (listed,) = [panel for panel in overview["panels"] if panel["type"] == "table"]
    (link,) = [
        p["value"][0]["url"] for o in listed["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "links"
    ]
    assert {link.replace("${__value.raw}", name) for name in APPLICATIONS | SERVERS} == {
        f"/d/{name}" for name in boards if name != "platform"
    }
    tags = {tuple(link["tags"]) for link in overview["links"] if link["type"] == "dashboards"}
    assert tags == {("nexus", "application"), ("nexus", "server")}
    for name, board in boards.items():
        assert board["links"][0]["url"] == "/d/platform"
        assert name == "platform" or tuple(board["tags"]) in tags


def test_requests_of_checks_and_scrapes_are_no_work():
    text = catalog.FILE.read_text() + "\nodd: {group: application, port: 4400, health: {path: /a.b}}\n"
    (expression, *_) = [e for t, e in promql.targets(drawn({"odd"}, text)["service-odd"]) if t == "odd: Rate"]
    assert r'route!~"/a\\.b|/metrics|/ready"' in expression
    promql.metrics(expression)


def test_the_library_is_the_one_for_the_grafana_that_runs():
    pinned = re.search(r"^grafana-foundation-sdk==\d+!(\S+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    assert pinned and pinned[1] == images.load()["grafana"].version


def test_every_feature_is_of_some_panel_and_every_panel_of_a_known_one():
    rows = [*load().overview.values(), *load().application.values()]
    rows += [panels for server in load().servers.values() for panels in server.values()]
    assert {panel.has for panels in rows for panel in panels} - {""} == set(FEATURES)


def test_a_panel_without_a_question_is_refused():
    for wrong, why in (
        ({"title": "x"}, "a table has columns, any other panel queries"),
        ({"title": "x", "kind": "table", "queries": {"a": "up"}}, "a table has columns"),
        ({"title": "x", "queries": {"a": "up"}, "knd": "stat"}, "Extra inputs are not permitted"),
    ):
        with pytest.raises(ValueError, match=why):
            Panels.model_validate({"overview": {"R": [wrong]}, "application": {}, "servers": {}})


def test_what_is_filled_in_has_to_be_known():
    assert fill('up{job="<job>"} < 1', {"job": "a"}) == 'up{job="a"} < 1'
    with pytest.raises(KeyError, match="jobb"):
        fill("<jobb>", {"job": "a"})


def test_the_zero_is_named_where_series_are_told_apart_by_a_label():
    assert known("up", "up") == "up or on() vector(0)"
    assert known("up", "{{job}} x") == 'up or on() label_replace(vector(0), "job", "none", "", "")'
    assert known("vector(1)", "of") == "vector(1)"
