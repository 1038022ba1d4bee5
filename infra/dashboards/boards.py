"""Which dashboards there are: an overview, one for each application, one for each server that is scraped."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from infra.dashboards.panels import Panel, Rows, load
from infra.entry import Service

OVERVIEW, APPLICATION, SERVER = "platform", "application", "server"
METRICS = "/metrics"
TITLES: Mapping[str, str] = {"kong": "kong, the gateway"}
#: What an application has that is counted, by its entry (`services/reference`: what each role adds).
FEATURES: Mapping[str, Callable[[Service], bool]] = {
    "routes": lambda entry: bool(entry.routes),
    "pools": lambda entry: bool({"postgres", "redis"} & set(entry.needs)),
    "items": lambda entry: entry.role == "items" and "postgres" in entry.needs,
    "cache": lambda entry: (
        entry.role == "search" or (entry.role == "items" and {"postgres", "redis"} <= {*entry.needs})
    ),
    "publishes": lambda entry: bool(entry.publishes),
    "consumes": lambda entry: bool(entry.consumes),
    "ai": lambda entry: entry.role == "ai",
}


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard. Its ``uid`` never changes, so that links and bookmarks hold; ``values`` fill in its queries."""

    uid: str
    title: str
    tag: str
    rows: Rows
    values: Mapping[str, str]


def uid(service: str) -> str:
    """The identity of a service's dashboard; a table links to it by the name of the service."""
    return f"service-{service}"


def boards(services: Sequence[Service], jobs: Collection[str]) -> list[Board]:
    """All dashboards for these entries, of which Prometheus scrapes those in ``jobs``."""
    measured = [entry for entry in services if entry.name in jobs]
    applications = [entry for entry in measured if entry.kind == "service"]
    servers = [entry for entry in measured if entry.kind in load().servers]
    return [
        overview(services, measured, applications, jobs),
        *(application(entry, jobs) for entry in applications),
        *(server(entry, jobs) for entry in servers),
    ]


def overview(
    services: Sequence[Service], measured: Sequence[Service], applications: Sequence[Service], jobs: Collection[str]
) -> Board:
    """The whole platform on one page."""
    values = {
        "jobs": "|".join(entry.name for entry in measured),
        "measured": str(len(measured)),
        "all": str(len(services)),
        "applications": "|".join(entry.name for entry in applications),
        "work": work(applications),
    }
    rows = kept(load().overview, lambda panel: not panel.job or panel.job in jobs)
    return Board(uid=OVERVIEW, title="Platform", tag=OVERVIEW, rows=rows, values=values)


def application(entry: Service, jobs: Collection[str]) -> Board:
    """One application, with the panels whose metrics it has."""

    def shown(panel: Panel) -> bool:
        return (not panel.has or FEATURES[panel.has](entry)) and (not panel.job or panel.job in jobs)

    values = {"job": entry.name, "work": work([entry])}
    rows = kept(load().application, shown)
    return Board(uid=uid(entry.name), title=entry.name, tag=APPLICATION, rows=rows, values=values)


def server(entry: Service, jobs: Collection[str]) -> Board:
    """One server, with the panels of its kind."""
    title = TITLES.get(entry.kind, entry.name)
    rows = kept(load().servers[entry.kind], lambda panel: not panel.job or panel.job in jobs)
    return Board(uid=uid(entry.name), title=title, tag=SERVER, rows=rows, values={"job": entry.name})


def work(entries: Iterable[Service]) -> str:
    """The selector of requests that are neither checks nor scrapes."""
    asked = {path for entry in entries for path in (entry.health.path, entry.health.ready_path)} | {METRICS}
    pattern = "|".join(re.escape(path).replace("\\", "\\\\") for path in sorted(asked))  # a string of PromQL
    return f'route!~"{pattern}"'


def kept(rows: Rows, shown: Callable[[Panel], bool]) -> Rows:
    """The panels that are shown, without rows that would be empty."""
    chosen = {title: tuple(panel for panel in panels if shown(panel)) for title, panels in rows.items()}
    return {title: panels for title, panels in chosen.items() if panels}
