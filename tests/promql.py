"""Expressions of dashboards as Prometheus would take them, and the metrics that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser

#: What Grafana fills in by itself; for a range of an hour and scrapes every 15 s.
BUILT_IN: Mapping[str, str] = {"$__rate_interval": "60s", "$__interval": "15s", "$__range": "3600s"}


def filled(expression: str) -> str:
    """The expression with Grafana's own variables filled in."""
    for name, value in BUILT_IN.items():
        expression = expression.replace(name, value)
    return expression


def metrics(expression: str) -> set[str]:
    """The metrics that an expression names; raises ValueError for one that does not parse."""
    found: set[str] = set()

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        return True

    promql_parser.walk(promql_parser.parse(filled(expression)), visit)
    return found


def targets(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The titles and the expressions of a dashboard's panels."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield f"{board['title']}: {panel['title']}", target["expr"]
