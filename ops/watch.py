"""`nexus status --watch`: the table again and again, with what changed since the last look."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops import console, inputs, objects, status, status_table
from ops.inputs import Inputs
from ops.status import Row

if TYPE_CHECKING:
    from docker import DockerClient
    from rich.console import RenderableType


@dataclass(frozen=True)
class Look:
    """What was seen at a moment, and what is different from the look before; ``away`` says why nothing was seen."""

    stack: str
    at: datetime
    rows: list[Row]
    changed: dict[str, str]
    away: str = ""

    @property
    def summary(self) -> str:
        """How many are well and what changed."""
        if self.away:
            return f"the Docker engine does not answer: {self.away}"
        healthy = f"{sum(one.well for one in self.rows)} of {len(self.rows)} healthy"
        return "\n".join([healthy, *(f"{status_table.MARK} {name}: {said}" for name, said in self.changed.items())])


def looks(chosen: Inputs, client: DockerClient, every: float) -> Iterator[Look]:
    """A look every so many seconds, for ever. An engine that is away is looked for again."""
    from docker.errors import DockerException

    rows: list[Row] = []
    while True:
        began = time.monotonic()
        try:
            found = status.look(chosen, client)
        except (DockerException, OSError) as error:
            yield Look(chosen.stack, datetime.now(UTC), rows, {}, str(error).splitlines()[0][:200])
        else:
            yield Look(chosen.stack, datetime.now(UTC), found, status_table.differences(rows, found))
            rows = found
        time.sleep(max(0.0, every - (time.monotonic() - began)))


def run(stack: str, every: float, as_json: bool = False) -> int:
    """Look until Ctrl-C: in place in a terminal, one after another into a pipe, as one document a line with JSON."""
    chosen = inputs.load(stack)
    try:
        with objects.connect() as client:
            seen = looks(chosen, client, every)
            if console.out().is_terminal and not as_json:
                in_place(seen)
            else:
                one_by_one(seen, as_json)
    except BrokenPipeError:
        console.mute()
    except KeyboardInterrupt:  # the way out
        pass
    return 0


def in_place(seen: Iterable[Look]) -> None:
    """Show each look in the place of the last one."""
    from rich.live import Live

    with Live(console=console.out(), auto_refresh=False) as live:
        for look in seen:
            live.update(picture(look), refresh=True)


def one_by_one(seen: Iterable[Look], as_json: bool) -> None:
    """Show each look below a line with its time, or as a document; that there was none is said beside them."""
    for look in seen:
        if look.away:
            console.say(f"{stamp(look)} {look.summary}")
        elif as_json:
            console.write(json.dumps(status.document(look.stack, look.rows)))
        else:
            with console.out().capture() as shown:  # rich has its own way with a pipe that was closed
                console.out().print(status_table.table(look.rows, changed=look.changed))
            console.write(f"--- {stamp(look)}\n{shown.get()}\n{look.summary}\n")


def picture(look: Look) -> RenderableType:
    """A look for a terminal. What changed is above the table: of what is higher than the screen the end is cut off."""
    from rich.console import Group
    from rich.text import Text

    head = f"{look.stack}, {stamp(look)}; Ctrl-C ends\n{look.summary}\n"
    return Group(Text(head), status_table.table(look.rows, changed=look.changed))


def stamp(look: Look) -> str:
    """When it was looked."""
    return f"{look.at:%Y-%m-%dT%H:%M:%SZ}"
