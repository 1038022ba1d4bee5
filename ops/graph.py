"""`nexus graph`: the platform of a stack as a picture (SVG) or as Mermaid, with the health of what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops import console, inputs
from ops.errors import BAD_INPUT, Failure

if TYPE_CHECKING:
    from infra.catalog import Catalog
    from infra.entry import Service

GROUPS = ("application", "nags", "performance", "data", "platform")
ROUTE, NEED, EVENT = "route", "need", "event"


@dataclass(frozen=True)
class Edge:
    """What leads from one service to another: a route of the gateway, a need, or a topic of events."""

    kind: str
    start: str
    end: str
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """The enabled services, what connects them, and their health by name where it is known."""

    stack: str
    services: tuple[Service, ...]
    edges: tuple[Edge, ...]
    health: Mapping[str, str]

    def of(self, group: str) -> list[Service]:
        """The services of a group."""
        return [service for service in self.services if service.group == group]


def graph(stack: str, catalog: Catalog, health: Mapping[str, str] | None = None) -> Graph:
    """The graph of a catalogue."""
    services = catalog.enabled
    edges = (*routes(services), *needs(services), *events(services))
    return Graph(stack, services, edges, health or {})


def routes(services: Iterable[Service]) -> list[Edge]:
    """From the gateway to each service that it leads to."""
    return [Edge(ROUTE, "kong", one.name, route.path) for one in services for route in one.routes]


def needs(services: Iterable[Service]) -> list[Edge]:
    """From each service to what it connects to."""
    return [Edge(NEED, one.name, need) for one in services for need in one.needs]


def events(services: Iterable[Service]) -> list[Edge]:
    """From each sender of a topic to each service whose queue gets it."""
    every = list(services)
    return [
        Edge(EVENT, sender.name, receiver.name, topic)
        for sender in every
        for topic in sender.publishes
        for receiver in every
        if receiver is not sender and any(matches(pattern, topic) for pattern in receiver.consumes)
    ]


def matches(pattern: str, topic: str) -> bool:
    """Whether a binding's pattern takes a topic: `*` is one word, `#` any number (AMQP topic exchanges)."""

    def match(wanted: list[str], words: list[str]) -> bool:
        if not wanted:
            return not words
        if wanted[0] == "#":
            return any(match(wanted[1:], words[skip:]) for skip in range(len(words) + 1))
        return bool(words) and wanted[0] in ("*", words[0]) and match(wanted[1:], words[1:])

    return match(pattern.split("."), topic.split("."))


def mermaid(drawn: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    lines = ["flowchart LR"]
    for group in GROUPS:
        if members := drawn.of(group):
            lines.append(f"  subgraph {group}")
            lines += [f'    {one.name}["{caption(one)}"]' for one in members]
            lines.append("  end")
    arrows = {ROUTE: '-->|"{}"|', NEED: "-.->", EVENT: '==>|"{}"|'}
    lines += [f"  {edge.start} {arrows[edge.kind].format(edge.label)} {edge.end}" for edge in drawn.edges]
    styles = {"healthy": "stroke:#2da44e", "unhealthy": "stroke:#cf222e", "missing": "stroke:#cf222e"}
    lines += [f"  style {name} {styles[state]}" for name, state in drawn.health.items() if state in styles]
    return "\n".join([*lines, ""])


def caption(service: Service) -> str:
    """A service's name, port, and number of instances where there are more."""
    return f"{service.name} :{service.port}" + (f" x{service.replicas}" if service.replicas > 1 else "")


def running(chosen: inputs.Inputs) -> dict[str, str]:
    """The health of each service, or nothing when no engine or none of the services runs."""
    from ops import status

    try:
        health = {row.name: row.health for row in status.collect(chosen)}
    except Failure:  # no engine: the picture shows what is declared
        return {}
    return {} if set(health.values()) == {status.MISSING} else health


def run(stack: str, form: str, output: str | None, health: bool) -> int:
    """Print the picture, or write it to a file."""
    from ops import graph_svg

    chosen = inputs.load(stack)
    drawn = graph(stack, chosen.catalog, running(chosen) if health else {})
    text = mermaid(drawn) if form == "mermaid" else graph_svg.svg(drawn)
    if output is None:
        console.write(text)
        return 0
    try:
        Path(output).write_text(text)
    except OSError as error:
        raise Failure(
            f"{output} cannot be written", str(error), "name another file after --output", BAD_INPUT
        ) from None
    console.say(f"{len(drawn.services)} services drawn: {output}")
    return 0
