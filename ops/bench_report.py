"""What a benchmark found: the document, its schema, the table and the plot."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops import console

OURS, COMPOSE, ASKED = "nexus", "compose", "compose-asked"
TITLES = {OURS: "./nexus up", COMPOSE: "docker compose up --wait", ASKED: "docker compose up + asking each container"}
#: What the project aims at: our median over Compose's.
AIMS = {"up_seconds": 1.2, "idle_cpu_percent": 1.1}
UNITS = {"up_seconds": "s", "idle_cpu_percent": "% of a core"}
NOTES = (
    "Ours also makes the gateway's and the discovery service's objects, generates secrets and records state; "
    "Compose starts containers only.",
    "`compose up --wait` sees a container as healthy at the engine's first check, one interval after its start; "
    "ours asks the same check at once. The third row does so on top of Compose.",
    "Times are of the whole command, with images present. Idle CPU is the containers' and the engine's for them.",
)

_NUMBERS = {"type": "array", "items": {"type": "number", "minimum": 0}}
_SUMMARY = {
    "type": "object",
    "required": ["median", "min", "max"],
    "additionalProperties": False,
    "properties": {key: {"type": "number", "minimum": 0} for key in ("median", "min", "max")},
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A run of `nexus bench`",
    "type": "object",
    "required": ["version", "date", "rounds", "idle_seconds", "services", "machine", "runs", "summary", "notes"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": 1},
        "date": {"type": "string", "format": "date-time"},
        "rounds": {"type": "integer", "minimum": 1},
        "idle_seconds": {"type": "number", "exclusiveMinimum": 0},
        "services": {"type": "array", "items": {"type": "string"}},
        "machine": {"type": "object"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["side", "round", "up_seconds"],
                "additionalProperties": False,
                "properties": {
                    "side": {"enum": list(TITLES)},
                    "round": {"type": "integer", "minimum": 1},
                    "load": {"type": "number", "description": "Load average before the start."},
                    "up_seconds": {"type": "number", "minimum": 0},
                    "idle_cpu_percent": {"type": "number", "description": "Containers and engine."},
                    "idle_containers_percent": {"type": "number"},
                },
            },
        },
        "summary": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["aim", "ratio", "met", "sides"],
                "additionalProperties": False,
                "properties": {
                    "aim": {"type": "number"},
                    "ratio": {"type": ["number", "null"], "description": "Our median over `compose up --wait`'s."},
                    "met": {"type": ["boolean", "null"]},
                    "sides": {"type": "object", "additionalProperties": _SUMMARY},
                },
            },
        },
        "notes": {"type": "array", "items": {"type": "string"}},
    },
}


def summary(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median, smallest and largest of each figure by side, and our median over Compose's (None without both)."""
    result = {}
    for figure, aim in AIMS.items():
        values = {side: [run[figure] for run in runs if run["side"] == side and figure in run] for side in TITLES}
        sides = {
            side: {"median": statistics.median(found), "min": min(found), "max": max(found)}
            for side, found in values.items()
            if found
        }
        ratio = None
        if OURS in sides and sides.get(COMPOSE, {}).get("median"):
            ratio = round(sides[OURS]["median"] / sides[COMPOSE]["median"], 3)
        result[figure] = {"aim": aim, "ratio": ratio, "met": None if ratio is None else ratio <= aim, "sides": sides}
    return result


def table(found: Mapping[str, Any]) -> None:
    """Print the summary and what has to be known to read it."""
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("FIGURE", "SIDE", "MEDIAN", "MIN", "MAX", "RATIO", "AIM"):
        shown.add_column(title, justify="left" if title in ("FIGURE", "SIDE") else "right")
    for figure, one in found["summary"].items():
        for side, values in one["sides"].items():
            numbers = [f"{values[key]:.1f}" for key in ("median", "min", "max")]
            ratio = f"{one['ratio']:.2f}" if side == OURS and one["ratio"] is not None else ""
            style = "green" if one["met"] else "red"
            aim = f"[{style}]<= {one['aim']}[/{style}]" if ratio else ""
            shown.add_row(f"{figure} ({UNITS[figure]})", TITLES[side], *numbers, ratio, aim)
    console.out().print(shown)
    for note in found["notes"]:
        console.write(f"- {note}")


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Draw the medians as bars with every run as a dot."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(AIMS), figsize=(11, 4.2), layout="constrained")
    colours = {OURS: "#2563eb", COMPOSE: "#94a3b8", ASKED: "#cbd5e1"}
    for panel, (name, one) in zip(panels, found["summary"].items(), strict=True):
        for place, (side, values) in enumerate(one["sides"].items()):
            panel.bar(place, values["median"], width=0.6, color=colours[side])
            dots = [run[name] for run in found["runs"] if run["side"] == side and name in run]
            panel.plot([place] * len(dots), dots, "o", color="#0f172a", markersize=4)
            panel.annotate(f"{values['median']:.1f}", (place + 0.05, values["median"]), va="bottom")
        panel.set_xticks(range(len(one["sides"])), [TITLES[side].replace(" + ", "\n+ ") for side in one["sides"]])
        panel.tick_params(axis="x", labelsize=8)
        panel.set_ylabel(UNITS[name])
        panel.set_ylim(bottom=0)
        ratio = "no ratio" if one["ratio"] is None else f"ratio {one['ratio']:.2f}, aim {one['aim']} or less"
        panel.set_title(f"{'time to start' if name == 'up_seconds' else 'idle CPU'}: {ratio}", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{len(found['services'])} containers, {found['rounds']} rounds", fontsize=11)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
