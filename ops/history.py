"""`nexus history`: the updates of an environment, and one of them. Needs neither Pulumi nor the engine."""

from __future__ import annotations

import json
from typing import Any

from ops import console, git, records
from ops.records import Record

#: Characters of a commit, and of an image's id after `sha256:`.
SHORT = 10
OPS = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}
STYLES = {"good": "green", "running": "cyan", "unhealthy": "yellow"}


def run(stack: str, number: int | None, as_json: bool) -> int:
    """List all that are kept, or show one."""
    book = records.of(stack)
    if number is not None:
        record = book.one(number)
        console.write(json.dumps(document(record), indent=2) if as_json else "\n".join(lines(record)))
        return 0
    found = book.all()
    if as_json:
        console.write(json.dumps({"stack": stack, "updates": [document(record) for record in found]}, indent=2))
    elif found:
        table(found)
    else:
        console.write(f"{stack}: no updates yet; `./nexus up {stack}` makes the first")
    return 0


def document(record: Record) -> dict[str, Any]:
    """One update as in ``docs/schemas/history.schema.json``."""
    return record.model_dump(mode="json")


def table(found: list[Record]) -> None:
    """The list, the newest last, as people read it at a prompt."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for heading in ("update", "when", "result", "took", "commit", "changes", "healthy", "message"):
        shown.add_column(heading, no_wrap=heading != "message")
    for one in found:
        shown.add_row(
            str(one.number),
            records.when(one),
            f"[{STYLES.get(one.result, 'red')}]{one.result}[/]",
            console.seconds(one.seconds) if one.seconds else "-",
            f"{one.commit[:SHORT] or '-'}{' (changed)' if one.dirty else ''}",
            changes(one),
            f"{one.healthy}/{one.services}" if one.services else "-",
            escape(one.message),
        )
    console.out().print(shown)


def changes(record: Record) -> str:
    """``2 created, 1 updated``."""
    return ", ".join(f"{count} {OPS.get(op, op)}" for op, count in record.changes.items()) or "-"


def lines(record: Record) -> list[str]:
    """One update in full; its settings last."""
    kind = record.kind if record.target is None else f"{record.kind} to {record.target}"
    result = f"{record.result}: {record.reason}" if record.reason else record.result
    rows = {
        "update": f"{record.number} ({kind})",
        "result": result,
        "started": f"{records.when(record)}, took {console.seconds(record.seconds)}",
        "message": record.message,
        "by": record.by,
        "commit": f"{record.commit or 'not under git'} {record.author}".rstrip(),
        "health": f"{record.healthy} of {record.services}" if record.services else "not known",
        "resources": f"{record.resources} ({changes(record)})",
        "source": record.source,
        "states": f"{record.before[:SHORT] or '-'} before, {record.after[:SHORT] or '-'} after",
    }
    found = [f"{name:<10} {value}" for name, value in rows.items()]
    if record.dirty:
        found.insert(
            6, f"           and changes that were not committed, which are lost: {git.shortened(record.dirty)}"
        )
    found += ["images", *(f"  {name} {identity[7:][:SHORT]}" for name, identity in sorted(record.images.items()))]
    return [*found, "settings", *(f"  {line}" for line in record.settings.splitlines())]
