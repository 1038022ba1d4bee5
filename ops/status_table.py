"""The table of services that people read, and what differs between two looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ops import console, witnesses

if TYPE_CHECKING:
    from rich.table import Table

    from ops.status import Row

STYLES = {"healthy": "green", "starting": "yellow"}
#: What is compared between two looks, by its name in the table.
COMPARED = {"state": "state", "health": "health", "discovery": "consul", "gateway": "gateway", "instances": "instances"}
#: In front of a service that is not as it was at the last look.
MARK = "*"


def table(
    rows: Iterable[Row], took: Mapping[str, float] | None = None, changed: Mapping[str, str] | None = None
) -> Table:
    """A row for each service.

    ``took``: seconds by service, of an update. ``changed``: the services to mark, by name (of ``differences``).
    """
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    marked, timed = [""] if changed is not None else [], ["TOOK"] if took is not None else []
    for title in (*marked, "SERVICE", "STATE", "HEALTH", "CONSUL", "GATEWAY", *timed, "URL", "IMAGE"):
        shown.add_column(title, no_wrap=not console.out().is_terminal)
    for one in rows:
        new = changed is not None and one.name in changed
        mark = [MARK if new else ""] if changed is not None else []
        spent = [console.seconds(took[one.name]) if one.name in took else "-"] if took is not None else []
        shown.add_row(
            *mark, one.name, state(one), coloured(one.health, STYLES.get(one.health, "red")), *said(one), *spent,
            " ".join(one.endpoints.values()) or "-", image(one), style="bold" if new else "",
        )  # fmt: skip
    return shown


def state(one: Row) -> str:
    """What the containers do, and how many there are if there are several."""
    return one.state if one.instances == 1 else f"{one.instances} {one.state}"


def said(one: Row) -> list[str]:
    """What Consul and the gateway say."""
    verdicts = ((one.discovery, witnesses.PASSING), (one.gateway, witnesses.HEALTHY))
    return [coloured(said.lower(), "green" if said == well else "red") if said else "-" for said, well in verdicts]


def coloured(text: str, style: str) -> str:
    """A text in a colour."""
    return f"[{style}]{text}[/]"


def image(one: Row) -> str:
    """Whether the original runs."""
    return "stand-in" if one.stand_in else "original" if one.state != "missing" else "-"


def differences(before: Iterable[Row], rows: Iterable[Row]) -> dict[str, str]:
    """For each service that is not as it was: what it was and what it is."""
    known, found = {one.name: one for one in before}, dict[str, str]()
    for one in rows:
        was = known.get(one.name, one)
        parts = [
            f"{title} {getattr(was, field) or '-'} -> {getattr(one, field) or '-'}".lower()
            for field, title in COMPARED.items()
            if getattr(was, field) != getattr(one, field)
        ]
        # As many as before, running as before, but not those of before: something was started again.
        if not parts and was.since != one.since:
            parts = ["started again"]
        if parts:
            found[one.name] = ", ".join(parts)
    return found
