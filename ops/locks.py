"""One writer a stack: our own lock around a verb, and the lock files that Pulumi's file backend leaves behind.

A lock whose holder is provably dead (same host, and its process is gone or its number was given to a younger process)
is removed. A live or a foreign holder is waited for, up to a bound.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops import paths
from ops.errors import LOCKED, Failure
from ops.workspace import PROJECT, Workspace

Report = Callable[[str], None]
DEAD, ALIVE, FOREIGN = "dead", "alive", "foreign"
#: Seconds by which a process' start may seem later than its lock: clock ticks and rounding.
TOLERANCE = 2.0


@dataclass(frozen=True)
class Lock:
    """A lock file of Pulumi's: who took it, where and when (seconds since 1970)."""

    file: Path
    pid: int
    user: str
    host: str
    taken: float

    @property
    def holder(self) -> str:
        """The holder, for people."""
        since = time.strftime("%H:%M:%S", time.localtime(self.taken))
        return f"process {self.pid} of {self.user} on {self.host} since {since}"


def read(file: Path) -> Lock | None:
    """The lock in a file; None when it was removed meanwhile. A torn file is nobody's: its writer died writing it."""
    try:
        text = file.read_text()
        changed = file.stat().st_mtime
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        taken = datetime.fromisoformat(found["timestamp"][:19] + "+00:00").timestamp()
        return Lock(file, int(found["pid"]), found["username"], found["hostname"], taken)
    except (ValueError, KeyError, TypeError):
        age = time.time() - changed
        return Lock(file, 0, "nobody", platform.node(), changed) if age > TOLERANCE else None


def state_of(lock: Lock, host: str | None = None) -> str:
    """Whether a lock's holder is dead, alive, or on a host that cannot be asked."""
    import psutil

    if lock.host != (host or platform.node()):
        return FOREIGN
    try:
        process = psutil.Process(lock.pid) if lock.pid > 0 else None
        if process is None or process.status() == psutil.STATUS_ZOMBIE:
            return DEAD
        return DEAD if process.create_time() > lock.taken + TOLERANCE else ALIVE
    except psutil.NoSuchProcess:
        return DEAD
    except psutil.AccessDenied:
        return ALIVE


def pulumi_locks(workspace: Workspace) -> list[Lock]:
    """The locks of a stack in a file backend."""
    if workspace.backend is None:
        return []
    folder = workspace.backend / ".pulumi" / "locks" / "organization" / PROJECT / workspace.stack
    return [lock for file in sorted(folder.glob("*.json")) if (lock := read(file))]


def settle(workspace: Workspace, wait: float, report: Report) -> bool:
    """Return once no lock is left; whether a dead holder's was removed. Raises Failure (LOCKED) after ``wait`` s."""
    deadline, cleared, told = time.monotonic() + wait, False, ""
    while True:
        waiting = []
        for lock in pulumi_locks(workspace):
            if state_of(lock) == DEAD:
                lock.file.unlink(missing_ok=True)
                lock.file.with_name(lock.file.name + ".attrs").unlink(missing_ok=True)
                report(f"removed the lock of a run that died: {lock.holder}")
                cleared = True
            else:
                waiting.append(lock)
        if not waiting:
            return cleared
        if time.monotonic() >= deadline:
            raise _locked(workspace.stack, waiting[0].holder, wait, state_of(waiting[0]) == FOREIGN)
        if waiting[0].holder != told:
            told = waiting[0].holder
            report(f"waiting for {told}")
        time.sleep(0.2)


@contextmanager
def hold(stack: str, verb: str, wait: float, report: Report, folder: Path | None = None) -> Iterator[None]:
    """Be the only verb that writes to a stack. The kernel gives the lock back however the process ends."""
    from filelock import FileLock, Timeout

    folder = folder or paths.PRIVATE / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = folder / f"{stack}.json"
    lock = FileLock(folder / f"{stack}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = _holder(note)
        report(f"waiting for {holder}")
        try:
            lock.acquire(timeout=wait, poll_interval=0.1)
        except Timeout:
            raise _locked(stack, _holder(note), wait, foreign=False) from None
    try:
        note.write_text(json.dumps({"pid": os.getpid(), "verb": verb, "since": time.strftime("%H:%M:%S")}))
        yield
        note.unlink(missing_ok=True)
    finally:
        lock.release()


def _holder(note: Path) -> str:
    try:
        found = json.loads(note.read_text())
        return f"`nexus {found['verb']}` (process {found['pid']}, since {found['since']})"
    except (OSError, ValueError, KeyError):
        return "another run"


def _locked(stack: str, holder: str, wait: float, foreign: bool) -> Failure:
    remedy = f"wait for it, or give this run more time: --lock-timeout {int(wait * 5) or 300}"
    if foreign:
        remedy = f'if that run is over for sure: eval "$(./nexus env)" && pulumi cancel -s {stack}; else wait for it'
    return Failure(f"the stack {stack} is locked by {holder}", f"waited {wait:g} s for it", remedy, LOCKED)
