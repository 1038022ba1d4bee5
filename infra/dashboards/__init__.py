"""Grafana's dashboards, generated from the catalogue and from what Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from infra.dashboards.boards import boards
from infra.entry import Service

__all__ = ["boards", "files"]


def files(services: Sequence[Service], jobs: Collection[str]) -> dict[str, str]:
    """The dashboards as JSON by the names of their files; the same ones for the same catalogue.

    ``services`` are the entries that run, ``jobs`` the names of those that Prometheus scrapes.
    """
    from infra.dashboards.render import render  # noqa: PLC0415  the SDK takes 20 ms: only where there is a Grafana

    return {f"{board.uid}.json": render(board) for board in boards(services, jobs)}
