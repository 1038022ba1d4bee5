"""The cases of alerts and recordings as promtool's unit tests (Prometheus, Unit Testing for Rules)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra import alerts, catalog, scrapes
from infra.alerts.rules import RUNBOOKS, STEP, Alert, Recording
from infra.entry import Service

HERE = Path(__file__).parent
#: As long as the longest case.
LASTING = "1x260"


def read(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text())


@cache
def entries() -> tuple[Service, ...]:
    return catalog.load(text=(HERE / "catalogue.yaml").read_text()).enabled


def rules() -> Iterator[Alert | Recording]:
    for groups in alerts.groups(entries()).values():
        for group in groups:
            yield from group.rules


def document() -> dict[str, Any]:
    """One file of tests over all rule files.

    Groups are evaluated in the order in which they are written, else in any: one that sums up what another records
    would now and then be one sample short.
    """
    return {
        "rule_files": [f"rules/{name}" for name in alerts.rule_files(entries())],
        "group_eval_order": [group.name for groups in alerts.groups(entries()).values() for group in groups],
        "evaluation_interval": f"{STEP}s",
        "tests": [*cases(), recorded(read("records.yaml"))],
    }


def cases() -> Iterator[dict[str, Any]]:
    for case in read("cases.yaml"):
        for number, given in enumerate(case["fires"]):
            yield group(
                case, f"fires {number}", given, [expected(case["alert"], a) for a in (case, *given.get("also", ()))]
            )
        for number, given in enumerate(case["rests"]):
            yield group(case, f"rests {number}", given, [])


def group(case: Mapping[str, Any], name: str, given: Mapping[str, Any], fires: list[Any]) -> dict[str, Any]:
    labels = ", ".join(f"{key}={value}" for key, value in case["labels"].items())
    return {
        "name": f"{case['alert']} ({labels}) {name}",
        "interval": f"{STEP}s",
        "input_series": [{"series": series, "values": values} for series, values in (up() | given["series"]).items()],
        "alert_rule_test": [{"eval_time": given["at"], "alertname": case["alert"], "exp_alerts": fires}],
    }


def expected(alert: str, told: Mapping[str, Any]) -> dict[str, Any]:
    page = f"{RUNBOOKS}/{alert}.md"
    return {"exp_labels": told["labels"], "exp_annotations": {"summary": told["says"], "runbook": page}}


def recorded(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "recordings",
        "interval": f"{STEP}s",
        "input_series": [{"series": series, "values": values} for series, values in given["series"].items()],
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": given["at"],
                "exp_samples": [{"labels": labelled(expr, labels), "value": value}],
            }
            for expr, (value, labels) in given["values"].items()
        ],
    }


def labelled(expr: str, labels: Mapping[str, str]) -> str:
    return expr.partition("{")[0] + "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def up() -> dict[str, str]:
    """Every instance answers."""
    found = {}
    for entry in entries():
        if entry.kind == "service":
            hosts = [entry.name, *(f"{entry.name}-{number}" for number in range(2, entry.replicas + 1))]
            found |= {f'up{{job="{entry.name}", instance="{host}:8000"}}': LASTING for host in hosts}
        for job in scrapes.of(entry):
            found[f'up{{job="{job}", instance="{entry.name}"}}'] = LASTING
    return found
