"""`nexus diff`: what differs between two updates of an environment: commits, settings, images, resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from ops import console, git, history, records, states
from ops.errors import Failure
from ops.preview import MARKS
from ops.records import Book, Record
from ops.states import Difference


def run(stack: str, older: int, newer: int, as_json: bool) -> int:
    """Say what leads from one to the other."""
    book = records.of(stack)
    found = document(book, book.one(older), book.one(newer))
    console.write(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))
    return 0


def document(book: Book, older: Record, newer: Record) -> dict[str, Any]:
    """What `--json` prints: ``docs/schemas/diff.schema.json``. What cannot be said is None, and ``notes`` say why."""
    notes: list[str] = []
    for record in (older, newer):
        if record.dirty:
            notes.append(f"update {record.number} had changes that were not committed: {git.shortened(record.dirty)}")
    return {
        "stack": book.stack,
        "from": older.number,
        "to": newer.number,
        "commits": commits(older, newer, notes),
        "settings": settings(older, newer),
        "images": changed(older.images, newer.images),
        "resources": resources(book, older, newer, notes),
        "notes": notes,
    }


def commits(older: Record, newer: Record, notes: list[str]) -> list[str] | None:
    """The log between the two; ``<`` marks what is left behind."""
    if older.commit == newer.commit:
        return []
    try:
        return git.between(older.commit, newer.commit)
    except Failure as failure:
        notes.append(f"the commits are not in this clone: {failure.why}")
        return None


def settings(older: Record, newer: Record) -> list[str]:
    """The lines of the settings files that differ, as `diff -u` shows them."""
    names = (f"update {older.number}", f"update {newer.number}")
    return list(unified_diff(older.settings.splitlines(), newer.settings.splitlines(), *names, lineterm="", n=2))


def changed(older: Mapping[str, str], newer: Mapping[str, str]) -> list[dict[str, str | None]]:
    """Image references that only one has, or that meant something else."""
    names = sorted(name for name in older.keys() | newer.keys() if older.get(name) != newer.get(name))
    return [{"reference": name, "from": older.get(name), "to": newer.get(name)} for name in names]


def resources(book: Book, older: Record, newer: Record, notes: list[str]) -> list[dict[str, Any]] | None:
    """What differs between the states that they left; names of inputs alone, never their values."""
    try:
        found = states.compare(book.state(older.after), book.state(newer.after))
    except Failure as failure:
        notes.append(f"the resources cannot be compared: {failure.why}")
        return None
    return [{"op": one.op, "type": one.type, "name": one.name, "properties": list(one.properties)} for one in found]


def lines(found: Mapping[str, Any]) -> list[str]:
    """The document for people."""
    parts = [f"{found['stack']}, from update {found['from']} to {found['to']}"]
    for heading in ("commits", "settings"):
        parts += section(heading, found[heading])
    images = [
        f"{'+' if one['from'] is None else '-' if one['to'] is None else '~'} {one['reference']} "
        f"{_id(one['from'])} -> {_id(one['to'])}"
        for one in found["images"]
    ]
    differing = found["resources"]
    shown = None if differing is None else [line(Difference(**one)) for one in differing]
    return [*parts, *section("images", images), *section("resources", shown), *found["notes"]]


def section(heading: str, content: list[str] | None) -> list[str]:
    """A heading with its lines below, or that there are none."""
    if not content:
        return [f"{heading}: {'not known' if content is None else 'the same'}"]
    return [f"{heading}:", *(f"  {line}" for line in content)]


def line(one: Difference) -> str:
    """``~ update redis-server (docker:index/container:Container): memory``."""
    properties = f": {', '.join(one.properties)}" if one.properties else ""
    return f"{MARKS[one.op]} {one.op} {one.name} ({one.type}){properties}"


def _id(identity: str | None) -> str:
    return identity.removeprefix("sha256:")[: history.SHORT] if identity else "(none)"
