"""The dashboards of a running platform: every panel gets data through Grafana, and shows what was done."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from components.grafana import ADMIN, PASSWORD, READ_EVERY
from infra import catalog, images
from tests import promql
from tests.e2e.whole.platform import Platform, eventually

pytestmark = pytest.mark.e2e
GRAFANA = 3700
PROXY = "/api/datasources/proxy/uid/prometheus/api/v1"
#: Seconds until what was done is in two scrapes, which come every 15 s, and a margin.
SEEN = 60
#: Metrics that appear with the first event of their kind (or the first rule), which no test has to cause: until then
#: they count as zero.
FIRST_EVENT = {
    "ALERTS",
    "alertmanager_notifications_total",
    "kong_upstream_latency_ms_bucket",
    "nexus_ai_completions_total",
    "nexus_cache_requests_total",
    "nexus_messages_consumed_total",
    "nexus_messages_published_total",
    "prometheus_rule_evaluation_failures_total",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_received_total",
    "vault_audit_log_request_failure",
}


@pytest.fixture(scope="module")
def grafana(platform: Platform) -> Iterator[httpx.Client]:
    """A client of Grafana that is signed in as its administrator."""
    file = images.contract("grafana").secret(PASSWORD)
    password = platform.container("grafana").exec_run(["cat", file]).output.decode().strip()
    with httpx.Client(
        base_url=platform.url(GRAFANA, ""), auth=(ADMIN, password), timeout=30, trust_env=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def boards(grafana: httpx.Client) -> dict[str, dict[str, Any]]:
    """All dashboards by their uid, once Grafana has looked for them."""

    def listed() -> list[str]:
        return [each["uid"] for each in grafana.get("/api/search", params={"tag": "nexus"}).json()]

    eventually(listed, 2 * READ_EVERY)
    return {uid: grafana.get(f"/api/dashboards/uid/{uid}").json()["dashboard"] for uid in listed()}


def ask(grafana: httpx.Client, expression: str, *, over_time: bool = False) -> list[dict[str, Any]]:
    """The series of an expression, now or over the last five minutes."""
    now = time.time()
    when = {"start": now - 300, "end": now, "step": 15} if over_time else {"time": now}
    path = f"{PROXY}/query_range" if over_time else f"{PROXY}/query"
    answer = grafana.post(path, data={"query": promql.filled(expression), **when})
    assert answer.status_code == 200, f"{expression}: {answer.text}"
    return answer.json()["data"]["result"]


def numbers(series: list[dict[str, Any]]) -> list[float]:
    """All values that can be drawn."""
    found = [float(value) for each in series for _, value in each.get("values") or [each["value"]]]
    return [value for value in found if math.isfinite(value)]


def test_every_service_that_is_scraped_has_its_dashboard(grafana: httpx.Client, boards: dict[str, Any]) -> None:
    jobs = {each["metric"]["job"] for each in ask(grafana, "count by (job) (up)")}
    assert set(boards) == {"platform"} | {f"service-{name}" for name in jobs & set(catalog.load().by_name)}


def test_each_query_of_each_panel_has_data(grafana: httpx.Client, boards: dict[str, Any]) -> None:
    empty = []
    for board in boards.values():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                over_time = panel["type"] == "timeseries"
                if not numbers(ask(grafana, target["expr"], over_time=over_time)):
                    empty.append(f"{board['title']}: {panel['title']}: {target['expr']}")
    assert not empty, "\n".join(empty)


def test_no_query_names_a_metric_that_nobody_exports(
    platform: Platform, grafana: httpx.Client, boards: dict[str, Any]
) -> None:
    """A query that may have no series counts as zero: a wrong name would be a zero for ever."""
    named = {
        metric: title
        for board in boards.values()
        for title, expression in promql.targets(board)
        for metric in promql.metrics(expression)
    }
    assert set(named) >= FIRST_EVENT

    def unknown() -> dict[str, str]:
        assert (
            platform.ask("ann", "GET", "/api/v1/files/items").status_code == 200
        )  # the gateway counts from the first on
        exported = set(grafana.get(f"{PROXY}/label/__name__/values").json()["data"])
        return {metric: title for metric, title in named.items() if metric not in exported | FIRST_EVENT}

    eventually(lambda: unknown() == {}, SEEN)


def test_requests_are_seen_in_the_dashboard_of_their_service_and_in_the_overview(
    platform: Platform, grafana: httpx.Client, boards: dict[str, Any]
) -> None:
    shown = dict(promql.targets(boards["service-files"]))

    def rate() -> float:
        assert platform.ask("ann", "GET", "/api/v1/files/items").status_code == 200
        return sum(numbers(ask(grafana, shown["files: Rate"])))

    eventually(rate, SEEN)
    (table,) = [panel for panel in boards["platform"]["panels"] if panel["type"] == "table"]
    lines = [
        {each["metric"]["job"]: float(each["value"][1]) for each in ask(grafana, t["expr"])} for t in table["targets"]
    ]
    up, instances, requests, *_ = lines
    assert (up["files"], instances["files"], instances["nexus-backend"]) == (1, 1, 2)
    assert requests["files"] > 0


def test_the_overview_counts_every_measured_service_as_up(grafana: httpx.Client, boards: dict[str, Any]) -> None:
    (panel,) = [panel for panel in boards["platform"]["panels"] if panel["title"] == "Services up"]

    def counted() -> list[float]:
        return [numbers(ask(grafana, target["expr"]))[0] for target in panel["targets"]]

    eventually(lambda: counted() == [len(boards) - 1, len(boards) - 1, 32], SEEN)
