"""`nexus open`: the address of a server's page, opened where there is a browser; says how to sign in."""

from __future__ import annotations

import difflib
import os
import webbrowser
from typing import TYPE_CHECKING, Any

from components._naming import physical
from ops import console, inputs, objects, pages, status
from ops.errors import BAD_INPUT, UNHEALTHY, Failure
from ops.inputs import Inputs
from ops.status import Row

if TYPE_CHECKING:
    from infra.catalog import Service

#: The variables by which a person's session names a screen, or the browser itself. Without one of them a browser would
#: take the terminal, or there is none.
SCREEN = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def run(stack: str, service: str = pages.DOCS) -> int:
    """Print the address, and open it; how to sign in goes to stderr. Raises Failure."""
    chosen = inputs.load(stack)
    entry = choose(chosen, service)
    with objects.connect() as client:
        found = objects.inspect(client, stack)
        row = next(row for row in status.seen(chosen, client, found) if row.name == entry.name)
    address = pages.address(entry.kind, row.endpoints)
    if not address:
        raise unreachable(stack, row)
    console.write(address)
    if sign_in := pages.PAGES[entry.kind].sign_in:
        console.say(sign_in.format(stack=stack, container=container(stack, entry.name, found)))
    if any(os.environ.get(name) for name in SCREEN) and not webbrowser.open(address):
        console.say("no browser could be started")
    return 0


def choose(chosen: Inputs, asked: str) -> Service:
    """The service whose page is asked for; ``docs`` is the gateway's. Raises Failure, with the names that have one."""
    known = {entry.name: entry for entry in chosen.services if entry.kind in pages.PAGES}
    if "kong" in known:
        known[pages.DOCS] = known["kong"]
    if asked in known:
        return known[asked]
    there = next((entry for entry in chosen.services if entry.name == asked), None)
    near = difflib.get_close_matches(asked, known, 3)
    raise Failure(
        f"{asked} has no page" if there else f"{chosen.stack} has no service {asked!r}",
        f"it is a {there.kind}, which a browser cannot talk to; `./nexus status {chosen.stack}` has its address"
        if there
        else f"did you mean {', '.join(near)}?" * bool(near),
        f"those that have a page: {', '.join(sorted(known))}",
        BAD_INPUT,
    )


def unreachable(stack: str, row: Row) -> Failure:
    """The failure of a page that cannot be reached from this machine."""
    if row.state == status.MISSING:
        return Failure(f"{row.name} is not there", "nothing of it runs", f"`./nexus up {stack}` starts it", UNHEALTHY)
    return Failure(
        f"{row.name} cannot be reached from this machine",
        f"it is {row.state}, and no port of its page is published",
        f"`./nexus status {stack}` shows what is; services of a swarm are reached through the gateway: ./nexus open "
        f"{stack}",
        UNHEALTHY,
    )


def container(stack: str, service: str, found: list[dict[str, Any]]) -> str:
    """The name of a service's container here; what it would be called when it is on another node."""
    own = objects.of_service(found, service)
    return next((one["Name"].lstrip("/") for one in own), physical(stack, service))
