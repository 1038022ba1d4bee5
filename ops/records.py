"""The book of a stack's updates: one record each, written before it begins and again when it ends, with its states.

A record says all that is needed to have that version again (commit, settings, images) and how the update went.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.settings import check_name
from ops import history_store, states
from ops.errors import BAD_INPUT, Failure
from ops.history_store import Store

Result = Literal["running", "good", "unhealthy", "failed", "interrupted", "killed"]
Kind = Literal["up", "rollback", "down"]
#: Good updates that are kept, with all that happened since the oldest of them.
KEPT = 10
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Part(BaseModel):
    """Frozen; what a newer version has added is kept as it is when an older one writes it again."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Holder(Part):
    """The process that made an update; a number alone may be another process' by now."""

    pid: int
    host: str
    boot: str
    started: float

    @classmethod
    def here(cls) -> Holder:
        """This process."""
        import psutil

        return cls(pid=os.getpid(), host=platform.node(), boot=boot(), started=psutil.Process().create_time())

    @property
    def gone(self) -> bool | None:
        """Whether it has ended; None when it is on another machine, which cannot be asked."""
        import psutil

        if self.host != platform.node():
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        return not same or self.boot != boot()


def boot() -> str:
    """What tells one start of this machine from another."""
    return BOOT.read_text().strip() if BOOT.exists() else ""


class Schema(Part):
    """The schema of a service's database: its history, and the revisions that the version knew."""

    history: str
    revisions: tuple[str, ...]


class Record(Part):
    """One update, as `history --json` shows it."""

    number: int = Field(default=0, description="Counted up for each update of the stack; never given twice.")
    kind: Kind = Field(default="up", description="What asked for it.")
    target: int | None = Field(default=None, description="Of a rollback: the update whose version it brought back.")
    result: Result = Field(default="running", description="How it ended; `good` when every service was healthy.")
    reason: str = Field(default="", description="Why it did not end well.")
    message: str = Field(default="", description="Of `--message`; by default the commit's subject.")
    author: str = Field(default="", description="The author of the commit.")
    by: str = Field(default="", description="Who ran it, and where.")
    commit: str = Field(default="", description="The program's commit; empty where it is not under git.")
    dirty: tuple[str, ...] = Field(default=(), description="Paths that differed from the commit.")
    settings: str = Field(default="", description="The settings file as used; secrets in it are encrypted.")
    source: str = Field(default="", description="Where images came from: `upstream` or `local`.")
    images: dict[str, str] = Field(default={}, description="Image references, each with the id it meant.")
    schemas: dict[str, Schema] = Field(default={}, description="By service, the schema of its database.")
    volumes: dict[str, str] = Field(default={}, description="Volumes with data, each with the time it was made.")
    started: float = Field(default=0, description="Seconds since 1970.")
    seconds: float = Field(default=0, description="How long it took.")
    changes: dict[str, int] = Field(default={}, description="Resources by what became of them.")
    resources: int = Field(default=0, description="Resources of the stack afterwards.")
    healthy: int = Field(default=0, description="Healthy services at the end.")
    services: int = Field(default=0, description="Services that should be healthy.")
    sick: tuple[str, ...] = Field(default=(), description="Those that were not.")
    before: str = Field(default="", description="Digest of the state before the update.")
    after: str = Field(default="", description="Digest of the state it left; empty when nobody could look.")
    holder: Holder = Field(description="The process that made it.")

    @property
    def good(self) -> bool:
        """Whether the version ran healthy at its end."""
        return self.result == "good" and self.kind != "down"


def judged(record: Record, later: Sequence[Record]) -> Record:
    """The record as it is to be read now: one whose process is gone, or that others came after, was killed."""
    if record.result != "running":
        return record
    over = record.holder.gone or any(one.result in ("good", "unhealthy") for one in later)
    return record.model_copy(update={"result": "killed", "reason": "its process was killed"}) if over else record


@dataclass(frozen=True)
class Book:
    """The records and states of one stack."""

    store: Store
    stack: str

    def numbers(self) -> list[int]:
        """Of the records there are."""
        names = self.store.names(f"records/{self.stack}")
        return [int(Path(name).stem) for name in names if name.endswith(".json")]

    def all(self) -> list[Record]:
        """Every record, the oldest first, as it is to be read now."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:  # of a bucket, each is a request
            read = [one for one in pool.map(self._read, self.numbers()) if one]
        return [judged(record, read[index + 1 :]) for index, record in enumerate(read)]

    def one(self, number: int) -> Record:
        """The record of that number; raises Failure naming those there are."""
        found = self.all()
        for record in found:
            if record.number == number:
                return record
        there = f"{found[0].number} to {found[-1].number}" if found else "none"
        raise Failure(
            f"{self.stack} has no update {number}", f"kept: {there}", f"./nexus history {self.stack}", BAD_INPUT
        )

    def add(self, record: Record) -> Record:
        """Write a new record, which gets the next number."""
        number = max(self.numbers(), default=0)
        while True:
            number += 1
            numbered = record.model_copy(update={"number": number})
            if self.store.create(self._name(number), _bytes(numbered)):
                return numbered

    def put(self, record: Record) -> None:
        """Write a record again."""
        self.store.write(self._name(record.number), _bytes(record))

    def keep(self, state: Mapping[str, Any]) -> str:
        """Keep a state; returns its digest."""
        digest, content = states.packed(state)
        self.store.create(self._state(digest), content)
        return digest

    def state(self, digest: str) -> dict[str, Any]:
        """A state that was kept; raises Failure when it is not there, or damaged."""
        content = self.store.read(self._state(digest)) if digest else None
        why = "it was pruned, or never kept"
        if content is not None:
            try:
                return states.unpacked(content, digest)
            except ValueError as error:
                why = str(error)
        raise Failure(
            f"{self.stack} has no good copy of the state {digest[:12]}",
            why,
            f"choose another: ./nexus history {self.stack}",
        )

    def prune(self) -> None:
        """Drop what is older than the last good updates that are kept, and states that no record names."""
        records = self.all()
        good = [record.number for record in records if record.good][-KEPT:]
        oldest = good[0] if len(good) == KEPT else 0
        for record in records:
            if record.number < oldest:
                self.store.remove(self._name(record.number))
        named = {digest for one in records if one.number >= oldest for digest in (one.before, one.after)}
        for name in self.store.names(f"states/{self.stack}"):
            if Path(name).name.removesuffix(".json.gz") not in named:
                self.store.remove(name)

    def _read(self, number: int) -> Record | None:
        content = self.store.read(self._name(number))
        try:
            return Record.model_validate_json(content) if content else None
        except ValidationError as error:
            raise Failure(
                f"the record of update {number} of {self.stack} is damaged",
                str(error.errors(include_url=False)[0]["msg"]),
                f"remove {self._name(number)} from the history",
            ) from None

    def _name(self, number: int) -> str:
        return f"records/{self.stack}/{number:06}.json"

    def _state(self, digest: str) -> str:
        return f"states/{self.stack}/{digest}.json.gz"


def of(stack: str, environ: Mapping[str, str] = os.environ) -> Book:
    """The book of a stack, beside its state; reads no more than the history itself."""
    check_name(stack)
    return Book(history_store.of(environ), stack)


def when(record: Record) -> str:
    """The start of an update for people."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started))


def _bytes(record: Record) -> bytes:
    return (record.model_dump_json(indent=1) + "\n").encode()
