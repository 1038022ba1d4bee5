"""Dashboards as Grafana reads them, made with the builders of its foundation SDK (docs/adr/0024)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import StackingMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from infra.dashboards.boards import APPLICATION, OVERVIEW, SERVER, Board, uid
from infra.dashboards.panels import Column, Panel, Thresholds

#: The uid of the data source is that of `components/grafana.py`.
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
#: Units of Grafana's grid, of 30 pixels; a table has a line for each service.
HEIGHTS: Mapping[str, int] = {"timeseries": 8, "stat": 4, "table": 26}
#: Percent; areas that lie on top of each other are told apart by it, lines that cross need none.
FILL = 30
REFRESH, SINCE = "30s", "now-1h"
#: What the label of the other dashboards' names is called in a table.
NAME = "Service"


def render(board: Board) -> str:
    """The dashboard as JSON, without spaces, which nobody reads. The numbers of its panels are those of their order."""
    made = dashboard.Dashboard(board.title).uid(board.uid).tags(["nexus", board.tag]).readonly()
    made.time(SINCE, "now").refresh(REFRESH).timezone("browser")
    made.links([_link(), _others("Applications", APPLICATION), _others("Servers", SERVER)])
    numbers = count(1)
    for title, panels in board.rows.items():
        made.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            made.with_panel(_panel(panel, board.values).id(next(numbers)))
    return JSONEncoder(separators=(",", ":")).encode(made.build())


def _link() -> dashboard.DashboardLink:
    return dashboard.DashboardLink("Platform").type(DashboardLinkType.LINK).url(f"/d/{OVERVIEW}").keep_time(True)


def _others(title: str, tag: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(title).type(DashboardLinkType.DASHBOARDS).tags(["nexus", tag])
    return link.as_dropdown(True).keep_time(True)


def _panel(panel: Panel, values: Mapping[str, str]) -> Any:
    made = {"timeseries": _timeseries, "stat": _stat, "table": _table}[panel.kind](panel, values)
    made.title(panel.title).datasource(SOURCE).height(HEIGHTS[panel.kind]).span(panel.span)
    if panel.description:
        made.description(panel.description)
    return made


def _timeseries(panel: Panel, values: Mapping[str, str]) -> timeseries.Panel:
    made = timeseries.Panel().unit(panel.unit).min(0)
    if panel.stack:
        made.fill_opacity(FILL).stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for query in _queries(panel, values):
        made.with_target(query)
    return made


def _stat(panel: Panel, values: Mapping[str, str]) -> stat.Panel:
    made = stat.Panel().unit(panel.unit).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if panel.thresholds:
        steps = _steps(panel.thresholds, values)
        made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for query in _queries(panel, values):
        made.with_target(query.instant())
    return made


def _table(panel: Panel, values: Mapping[str, str]) -> table.Panel:
    """A line for each value of the labels; its columns are joined by them, and named."""
    made = table.Panel()
    names = {"job": NAME}
    for letter, column in zip(ascii_uppercase, panel.columns, strict=False):
        query = prometheus.Dataquery().ref_id(letter).expr(fill(column.query, values)).instant()
        made.with_target(query.format(PromQueryFormat.TABLE))
        names[f"Value #{letter}"] = column.title
        made.override_by_name(column.title, _properties(column, values))
    made.override_by_name(NAME, [DynamicConfigValue("links", [_target()])])
    made.with_transformation(DataTransformerConfig("merge", options={}))
    columns = {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": {}}
    return made.with_transformation(DataTransformerConfig("organize", options=columns))


def _target() -> dict[str, str]:
    return {"title": "Its dashboard", "url": f"/d/{uid('')}${{__value.raw}}"}


def _properties(column: Column, values: Mapping[str, str]) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", column.unit)]
    if column.thresholds:
        steps = [step.to_json() for step in _steps(column.thresholds, values)]
        found.append(DynamicConfigValue("thresholds", {"mode": "absolute", "steps": steps}))
        found.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return found


def _steps(thresholds: Thresholds, values: Mapping[str, str]) -> list[Threshold]:
    """The colours with the values from which on they are used; the first one's is that of all smaller values."""
    steps = [Threshold(float(fill(str(value), values)), colour) for colour, value in thresholds.items()]
    steps[0].value = None
    return steps


def _queries(panel: Panel, values: Mapping[str, str]) -> Iterator[prometheus.Dataquery]:
    for letter, (legend, expression) in zip(ascii_uppercase, panel.queries.items(), strict=False):
        yield prometheus.Dataquery().ref_id(letter).expr(known(fill(expression, values), legend)).legend_format(legend)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with ``<name>`` replaced by its value; raises KeyError for a name that has none."""
    return re.sub(r"<(\w+)>", lambda found: values[found[1]], text)


def known(expression: str, legend: str) -> str:
    """The expression, or zero while there is no such series: a counter appears with the first event that it counts.

    The zero's own legend is ``none``.
    """
    if expression.startswith("vector("):
        return expression
    label = re.search(r"{{(\w+)}}", legend)
    zero = f'label_replace(vector(0), "{label[1]}", "none", "", "")' if label else "vector(0)"
    return f"{expression} or on() {zero}"
