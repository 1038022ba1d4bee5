"""Puts a copy of the state in the place of a damaged one, which is kept; after showing what differs, and asking."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops import console, diff, paths, records, states
from ops.errors import BAD_INPUT, Failure
from ops.records import Book, Record
from ops.workspace import Workspace

#: What a restore took the place of.
REPLACED = "replaced-states"


def back(space: Workspace, number: int | None, found: tuple[dict[str, Any] | None, str], yes: bool) -> None:
    """Restore the copy of update ``number``, or the newest good one. ``found``: the state now, or why there is none."""
    book = records.of(space.stack, space.env)
    record, copy = chosen(book, number)
    state, problem = found
    console.say(f"{space.stack}: the state of update {record.number}, of {records.when(record)}, in the place of this:")
    if state is None:
        console.say(f"  it cannot be read: {problem}")
    else:
        differing = states.compare(state, copy)
        for line in console.fold([diff.line(one) for one in differing]):
            console.say(f"  {line}")
        if not differing:
            console.say("  the same resources with the same inputs")
    console.say("only the state changes: what runs stays as it is, and the next `up` looks at it")
    if not yes and not console.ask(f"Restore the state of {space.stack}?"):
        command = f"./nexus state doctor {space.stack} {record.number} --restore --yes"
        raise Failure("nothing was restored", "it was not confirmed", command, BAD_INPUT)
    kept = keep(space, state)
    space.ensure()
    space.load(copy)
    console.say(f"restored; what was there before is in {kept}")


def chosen(book: Book, number: int | None) -> tuple[Record, dict[str, Any]]:
    """The copy of an update, or the newest that is sound; raises Failure when there is none."""
    if number is not None:
        record = book.one(number)
        copy = book.state(record.after or record.before)
        if problems := states.problems(copy):
            other = f"choose another: ./nexus history {book.stack}"
            raise Failure(
                f"the copy of update {number} is not sound", "\n".join(console.fold(problems)), other, BAD_INPUT
            )
        return record, copy
    for record, digest in copies(book):
        try:
            copy = book.state(digest)
        except Failure as failure:
            console.say(f"update {record.number}: {failure.why}")
            continue
        if not states.problems(copy):
            return record, copy
    raise Failure(
        f"there is no sound copy of the state of {book.stack}",
        "every `up` keeps one before and after it, in the history",
        "plain Pulumi keeps its own in the backend: .pulumi/backups; `pulumi stack import --file` takes one",
    )


def copies(book: Book) -> Iterator[tuple[Record, str]]:
    """What each update left and began with, the newest first."""
    for record in reversed(book.all()):
        yield from ((record, digest) for digest in (record.after, record.before) if digest)


def keep(space: Workspace, state: dict[str, Any] | None) -> Path:
    """Put what is there now aside; a file that cannot be read is moved away, so that a new one can be made."""
    folder = paths.PRIVATE / REPLACED
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / f"{space.stack}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    kept.touch(mode=0o600)
    if state is not None:
        kept.write_text(json.dumps(state))
    elif space.state_file and space.state_file.exists():
        kept.write_bytes(space.state_file.read_bytes())
        space.state_file.unlink()
        space.state_file.with_name(f"{space.state_file.name}.attrs").unlink(missing_ok=True)
    return kept
