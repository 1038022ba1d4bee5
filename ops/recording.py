"""Writes an update down while it happens: what it starts from, that it runs, and how it ended, however that was."""

from __future__ import annotations

import getpass
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.settings import file_of
from ops import console, git, history_store, objects, records, repair, states, status
from ops.errors import UNHEALTHY, Failure
from ops.records import Book, Holder, Kind, Record, Schema

if TYPE_CHECKING:
    from infra.catalog import Service
    from ops.session import Session
    from ops.status import Row

#: Set by a rollback for the run of the version it brings back: the number of the update that had it.
TARGET = "NEXUS_ROLLBACK_TO"
HISTORIES = Path("services", "migrations")
REVISION = re.compile(r"^revision(?:: str)? = [\"'](\w+)[\"']", re.MULTILINE)


@dataclass
class Entry:
    """The record of the update that runs."""

    book: Book
    record: Record

    def add(self, **found: Any) -> None:
        """Note something; it is written when the update ends."""
        self.record = self.record.model_copy(update=found)

    def healthy(self, rows: Sequence[Row]) -> None:
        """Note how the services are at the end."""
        sick = tuple(row.name for row in rows if not row.well)
        self.add(healthy=len(rows) - len(sick), services=len(rows), sick=sick)
        if sick and self.record.result == "running":
            self.add(result="unhealthy", reason=f"not healthy: {', '.join(sick)}")


@contextmanager
def update(current: Session, kind: Kind = "up", message: str = "") -> Iterator[Entry]:
    """Keep the state, write the record, and write it again when the update ends. The stack's lock is held.

    Raises Failure, before anything is touched, when nothing can be kept.
    """
    book = records.of(current.workspace.stack, current.workspace.env)
    if not book.store.shared:
        console.say(
            f"the history of {book.stack} is kept in this clone alone: {history_store.VARIABLE} names a place for all"
        )
    before = repair.read(current.workspace)
    digest = book.keep(before)
    close(book, digest)
    entry = Entry(book, book.add(begun(current, kind, message, digest)))
    started = time.monotonic()
    try:
        yield entry
        if entry.record.result == "running":
            entry.add(result="good")
    except BaseException as error:
        if entry.record.result == "running":
            entry.add(result="failed" if isinstance(error, Exception) else "interrupted", reason=reason(error))
        if isinstance(error, Failure) and error.code == UNHEALTHY:
            entry.add(result="unhealthy")
        raise
    finally:
        entry.add(seconds=round(time.monotonic() - started, 1))
        _end(entry, current, before)


def begun(current: Session, kind: Kind, message: str, before: str) -> Record:
    """What is known of an update before it begins."""
    space, target = current.workspace, os.environ.get(TARGET, "")
    version = git.version(space.stack, space.root)
    return Record(
        kind="rollback" if target and kind == "up" else kind,
        target=int(target) if target else None,
        message=message or version.subject,
        author=version.author,
        by=f"{getpass.getuser()}@{platform.node()}",
        commit=version.commit,
        dirty=version.dirty,
        settings=(space.root / file_of(space.stack)).read_text(),
        source=current.source,
        schemas=schemas(current.inputs.services, space.root),
        started=time.time(),
        before=before,
        holder=Holder.here(),
    )


def schemas(services: Sequence[Service], root: Path) -> dict[str, Schema]:
    """The schemas that this version brings databases to, by service."""
    found = {}
    for service in services:
        folder = root / HISTORIES / service.history
        if service.kind == "service" and "postgres" in service.needs and folder.is_dir():
            texts = [file.read_text() for file in sorted(folder.glob("[0-9]*.py"))]
            revisions = tuple(match[1] for text in texts if (match := REVISION.search(text)))
            found[service.name] = Schema(history=service.history, revisions=revisions)
    return found


def close(book: Book, state: str) -> None:
    """Write down of updates that were killed that they were; ``state`` is what the last one left."""
    killed = [record for record in book.all() if record.result == "killed"]
    for record in killed:
        if not record.after:
            book.put(record.model_copy(update={"after": state}))


def reason(error: BaseException) -> str:
    """Why an update ended, on one line."""
    return error.what if isinstance(error, Failure) else str(error) or type(error).__name__


def _end(entry: Entry, current: Session, before: states.State) -> None:
    """Write the record's end. That this fails is said, and hides nothing of how the update went."""
    try:
        if entry.record.kind != "down" and current.workspace.exists():
            after = repair.read(current.workspace)
            entry.add(
                after=entry.book.keep(after),
                changes=states.counts(states.compare(before, after)),
                resources=len(states.living(after)),
                images=states.images(after),
                volumes=made(states.volumes(after)),
            )
            if not entry.record.services:  # it did not come to its end: how the services are is known all the same
                entry.healthy(status.collect(current.inputs))
    except (Failure, OSError, ValueError) as error:
        console.say(f"what update {entry.record.number} left could not be kept: {reason(error)}")
    try:
        entry.book.put(entry.record)
        entry.book.prune()
    except Exception as error:  # a bucket's client has errors of its own
        console.say(f"the end of update {entry.record.number} could not be written down: {reason(error)}")


def made(volumes: Sequence[str]) -> dict[str, str]:
    """When each volume was made, by name; those that this engine has."""
    with objects.connect() as client:
        listed = client.api.volumes().get("Volumes") or []
    return {item["Name"]: item.get("CreatedAt", "") for item in listed if item["Name"] in volumes}
