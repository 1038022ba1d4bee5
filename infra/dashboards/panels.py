"""What a dashboard shows, as `panels.yaml` says it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, model_validator

from infra.entry import Entry

FILE = Path(__file__).parent / "panels.yaml"
#: Columns of Grafana's grid, of 24, that a panel of each kind takes where nothing is said.
WIDTHS: Mapping[str, int] = {"timeseries": 8, "stat": 4, "table": 24}

Thresholds = dict[str, float | str]


class Column(Entry):
    """A column of a table."""

    title: str
    query: str
    unit: str = "short"
    thresholds: Thresholds = Field(default_factory=dict)


class Panel(Entry):
    """One picture. ``queries`` are PromQL by the legend of their series; a table has ``columns`` instead."""

    title: str
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    description: str = ""
    queries: dict[str, str] = Field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    unit: str = "short"
    width: int = Field(default=0, ge=0, le=24)
    thresholds: Thresholds = Field(default_factory=dict)
    stack: bool = False
    has: str = ""
    job: str = ""

    @model_validator(mode="after")
    def _asks(self) -> Panel:
        if bool(self.columns) != (self.kind == "table") or bool(self.queries) == bool(self.columns):
            raise ValueError(f"{self.title!r}: a table has columns, any other panel queries")
        return self

    @property
    def span(self) -> int:
        """Its width on the grid."""
        return self.width or WIDTHS[self.kind]


Rows = dict[str, tuple[Panel, ...]]


class Panels(Entry):
    """The whole file: rows of panels by their titles. ``servers`` are by their kind."""

    overview: Rows
    application: Rows
    servers: dict[str, Rows]


@cache
def load() -> Panels:
    """The file, read once; raises ValidationError for what is no panel."""
    text = FILE.read_text()
    return Panels.model_validate(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506
