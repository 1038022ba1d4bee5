"""The platform is watched: every target answers, every rule has the series it asks for, and what goes down is told."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.alerts import promtool
from tests.e2e.environment import OFFSETS
from tests.e2e.whole.platform import Platform, eventually

pytestmark = pytest.mark.e2e
PROMETHEUS, ALERTMANAGER = (f"http://127.0.0.1:{port + OFFSETS['e2e-all']}" for port in (3600, 4100))
#: Every series that a rule asks for, as its cases name it.
ASKED = {
    re.split(r"[{ ]", series)[0]
    for case in promtool.read("cases.yaml")
    for given in (*case["fires"], *case["rests"])
    for series in given["series"]
}
#: Seconds: a scrape, a minute in which it may come back, and an evaluation, each on a busy machine.
NOTICED = 180


def query(expr: str) -> list[dict[str, Any]]:
    return httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": expr}, trust_env=False).json()["data"]["result"]


def down() -> list[str]:
    return sorted(each["metric"]["job"] for each in query("up == 0"))


def firing() -> set[tuple[str, str]]:
    found = httpx.get(f"{ALERTMANAGER}/api/v2/alerts", trust_env=False).json()
    return {(each["labels"]["alertname"], each["labels"]["service"]) for each in found}


def test_every_target_answers_prometheus_and_none_is_missing(platform: Platform) -> None:
    eventually(lambda: down() == [], 60)
    eventually(
        lambda: query("job:instances:declared") and not query("job:instances:declared unless on (job) up == 1"), 60
    )


def test_every_series_that_a_rule_asks_for_is_there(platform: Platform) -> None:
    assert len(ASKED) > 20
    platform.ask("ann", "GET", "/api/v1/items")
    for series in sorted(ASKED):
        eventually(lambda series=series: query(f"count({series})"), 60)


def test_every_rule_can_be_evaluated(platform: Platform) -> None:
    def health() -> set[str]:
        groups = httpx.get(f"{PROMETHEUS}/api/v1/rules", trust_env=False).json()["data"]["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    eventually(lambda: health() == {"ok"}, 90)


def test_a_service_that_is_stopped_is_told_and_so_is_its_return(platform: Platform) -> None:
    container = platform.container("reports")
    container.stop()
    try:
        eventually(lambda: ("ServiceDown", "reports") in firing(), NOTICED)
    finally:
        container.start()
    eventually(lambda: ("ServiceDown", "reports") not in firing(), NOTICED)
    eventually(lambda: platform.ask("ann", "GET", "/api/v1/reports/ready").status_code == 200, 60)
