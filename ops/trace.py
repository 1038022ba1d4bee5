"""`nexus trace`: the way of one request through gateway, services and queues, by what they logged under its id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops import console, inputs, log_sources, objects
from ops import since as moments
from ops.errors import BAD_INPUT, Failure
from ops.log_lines import STYLES, Line, plain
from ops.logs import STREAMS

if TYPE_CHECKING:
    from rich.table import Table

#: What the services take for an id (docs/reference-service.md); of another one nothing is logged.
ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
GATEWAY = "kong"
#: The kinds of services that write ids into their logs.
KINDS = (GATEWAY, "service")
#: Times in logs are whole milliseconds: within one, a request was at the gateway first.
RESOLUTION = timedelta(milliseconds=1)
#: What is kept of a line besides what a step has anyway; ``key`` is a message's, by which queues get it.
DETAILS = ("method", "path", "route", "status", "key", "message_id", "client", "consumer", "user", "reason")


@dataclass(frozen=True)
class Step:
    """Something that was done for a request: when it began, by whom, what, and the ms that it took, where known."""

    began: datetime
    service: str
    source: str
    level: str
    what: str
    took: float | None
    details: Mapping[str, Any]

    @property
    def order(self) -> datetime:
        """By what steps are sorted."""
        return self.began - RESOLUTION if self.service == GATEWAY else self.began


def step(line: Line) -> Step:
    """What a line says was done. A service logs a request or a message at its end, so it began that long before."""
    fields, end = line.fields, moments.read(line.moment)
    if "uri" in fields:
        return at_gateway(line)
    took = fields.get("duration_ms")
    took = float(took) if isinstance(took, int | float) else None
    if line.ours:
        end = clock(fields["timestamp"]) or end
    what = str(fields.get("message") or line.text)
    details = {name: fields[name] for name in DETAILS if fields.get(name) not in (None, "")}
    return Step(end - timedelta(milliseconds=took or 0), line.service, line.source, line.level, what, took, details)


def at_gateway(line: Line) -> Step:
    """What the gateway's access log says. The query is left out: it may have a code or a key in it."""
    fields = line.fields
    began, seconds = clock(fields.get("time")), fields.get("seconds")
    took = round(float(seconds) * 1000, 2) if isinstance(seconds, int | float) else None
    method, path, status = fields.get("method", "?"), str(fields["uri"]).partition("?")[0], fields.get("status")
    extra = fields.get("extra")
    reason = extra.get("error", "") if isinstance(extra, dict) else ""
    details = {"method": method, "path": path, "status": status, "consumer": fields.get("consumer"), "reason": reason}
    return Step(
        began or moments.read(line.moment) - timedelta(milliseconds=took or 0),
        line.service,
        line.source,
        line.level,
        f"{method} {path} {status}" + (f": {reason}" if reason else ""),
        took,
        {name: value for name, value in details.items() if value not in (None, "")},
    )


def clock(text: Any) -> datetime | None:
    """The moment that a program wrote itself, which is nearer to what it did than the engine's; None for another."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def way(lines: Iterable[Line], wanted: str) -> list[Step]:
    """The steps of a request, in the order in which they began; a line without fields counts when it has the id."""
    alone = re.compile(rf"(?<![\w-]){re.escape(wanted)}(?![\w-])")
    own = (
        line
        for line in lines
        if wanted in line.text
        and (line.correlation_id == wanted if line.fields else alone.search(line.text) is not None)
    )
    return sorted(map(step, own), key=lambda one: one.order)


def offset(one: Step, first: Step) -> int:
    """Milliseconds since the first step began."""
    return max(0, (one.began - first.began) // RESOLUTION)


def run(stack: str, id: str, since: str = "1h", as_json: bool = False) -> int:
    """Print the way; raises Failure for what is no id, and for one that no log has."""
    if not ID.fullmatch(id):
        raise Failure(
            f"{id!r} is no correlation id",
            "one is 1 to 128 letters, digits and ._:@/+=-",
            "take it from an answer's X-Correlation-ID, or from `./nexus logs`",
            BAD_INPUT,
        )
    began = moments.moment(since)
    kinds = {entry.name for entry in inputs.load(stack).services if entry.kind in KINDS}
    with objects.connect(streams=STREAMS) as client:
        sources = [source for source in log_sources.find(client, stack) if source.service in kinds]
        steps = way(log_sources.past(client, sources, after=moments.stamp(began)), id)
    looked = sorted({source.service for source in sources})
    if not steps:
        raise unknown(stack, id, looked, began)
    if as_json:
        console.write(json.dumps(document(stack, id, began, looked, steps), indent=2))
    else:
        show(steps)
        if GATEWAY in looked and GATEWAY not in {one.service for one in steps}:
            console.say(f"no line of {GATEWAY}: the request did not come through it, or its log has no correlation ids")
    return 0


def unknown(stack: str, wanted: str, looked: Sequence[str], began: datetime) -> Failure:
    """The failure of an id that no log has: where was looked, and since when."""
    if not looked:
        return Failure(f"{stack} is not up", "neither its gateway nor a service has a log", f"`./nexus up {stack}`")
    return Failure(
        f"no log of {stack} has the correlation id {wanted}",
        f"looked since {began:%Y-%m-%dT%H:%M:%SZ} in: {', '.join(looked)}",
        "look further back with --since 24h; logs are kept up to 30 MB a container, and go with it",
    )


def document(stack: str, wanted: str, began: datetime, looked: Sequence[str], steps: Sequence[Step]) -> dict[str, Any]:
    """The document of `--json`."""
    return {
        "stack": stack,
        "correlation_id": wanted,
        "since": f"{began:%Y-%m-%dT%H:%M:%SZ}",
        "looked": list(looked),
        "steps": [
            {
                "offset_ms": offset(one, steps[0]),
                "began": one.began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "service": one.service,
                "instance": one.source,
                "level": one.level,
                "what": one.what,
                "duration_ms": one.took,
                "details": dict(one.details),
            }
            for one in steps
        ],
    }


def show(steps: Sequence[Step]) -> None:
    """The way as a table, and how long it was."""
    console.out().print(table(steps))
    services = list(dict.fromkeys(one.service for one in steps))
    end = max(one.began + timedelta(milliseconds=one.took or 0) for one in steps)
    took = (end - steps[0].began) / RESOLUTION
    count = f"{len(steps)} step{'s' if len(steps) > 1 else ''}"
    console.write(f"\n{count} in {took:.0f} ms: {' -> '.join(services)}")


def table(steps: Sequence[Step]) -> Table:
    """A row for each step."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title, right in (("AT", True), ("SERVICE", False), ("TOOK", True), ("WHAT", False)):
        shown.add_column(title, justify="right" if right else "left", no_wrap=not console.out().is_terminal)
    for one in steps:
        took = "-" if one.took is None else f"{one.took:.1f} ms"
        said = Text(plain(one.what), STYLES.get(one.level, ""))
        shown.add_row(f"+{offset(one, steps[0])} ms", one.source, took, said)
    return shown
