"""`nexus drift`: what was changed outside of Pulumi, for people and as one JSON document. Nothing is changed without
`--repair`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from components._naming import physical
from ops import changes, console, credentials, locks, repair, session, steps, unmanaged, up, update
from ops.errors import DRIFTED, Failure
from ops.events import STACK_TYPE, Tracker, name_of
from ops.session import Session
from ops.unmanaged import Found, Unseen
from ops.workspace import Workspace

CHANGED, STOPPED, REMOVED = "changed", "stopped", "removed"
#: How the Docker plugin reads a container that should run and does not.
MUST_RUN = "mustRun"
MARKS = {CHANGED: "~", STOPPED: "!", REMOVED: "-"}
#: Seconds for the whole look.
TIMEOUT = 600


@dataclass(frozen=True)
class Difference:
    """One property: what the state has, and what is there; secrets masked."""

    path: str
    expected: Any
    actual: Any


@dataclass(frozen=True)
class Drift:
    """One resource that is not as the stack left it."""

    kind: str
    type: str
    name: str
    id: str
    properties: tuple[Difference, ...] = ()


@dataclass
class Report:
    """All that was found. ``unseen`` says what could not be looked at."""

    stack: str
    changed: list[Drift] = field(default_factory=list)
    unmanaged: list[Found] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)

    @property
    def drifted(self) -> bool:
        """Whether anything is not as the stack left it."""
        return bool(self.changed or self.unmanaged)


def run(stack: str, *, source: str | None, as_json: bool, fix: bool, lock_timeout: int, timeout: int) -> int:
    """Print what was changed outside; with ``fix``, put it back first and say what is left."""
    current = session.begin(stack, source, images=fix, ports=False)
    if not current.workspace.exists():
        raise Failure(
            f"there is no stack {stack}", "the state's backend does not know it", f"Run `./nexus up {stack}`."
        )
    report = look(current.workspace)
    if fix and report.drifted:
        if not as_json:
            show(report)
        restore(current, lock_timeout, timeout)
        report = look(current.workspace)
    if as_json:
        console.write(json.dumps(document(report), indent=2))
    else:
        show(report)
        console.write(conclusion(report))
    return DRIFTED if report.drifted else 0


def restore(current: Session, lock_timeout: int, timeout: int) -> None:
    """What `up` does, to its healthy end; raises Failure when it does not get there."""
    with locks.hold(current.workspace.stack, f"drift {current.workspace.stack} --repair", lock_timeout, console.say):
        tracker, rows = up.recorded(
            current, refresh=True, wait=lock_timeout, timeout=timeout, message="drift is put back"
        )
    console.say(f"put back: {tracker.summary}")
    up.require_health(current.workspace.stack, rows)


def look(workspace: Workspace) -> Report:
    """Compare the state with the real world; what lives in a server that is down is said to be unseen."""
    if workspace.state_file:
        repair.mend(workspace.state_file, console.say)
    locks.settle(workspace, 60, console.say)
    down = absent(workspace.stack, repair.stopped(workspace))
    report = Report(workspace.stack)
    report.changed = refresh(workspace, down)
    resources = credentials.of(workspace).resources
    report.unmanaged, report.unseen = unmanaged.of_servers(resources, down)
    report.unmanaged += unmanaged.of_engine(workspace.stack, resources)
    present = {resource["type"].partition(":")[0] for resource in resources}
    report.unseen += [
        Unseen(f"what {package} has", f"{', '.join(names)} does not run")
        for package, names in down.items()
        if package in present
    ]
    return report


def absent(stack: str, stopped: Iterable[str]) -> dict[str, list[str]]:
    """The packages whose entries cannot be looked at, each with the servers that are missing for it."""
    gone = set(stopped)
    lacking = {
        prefix.rstrip(":"): [name for server in servers if (name := physical(stack, server)) in gone]
        for prefix, servers in repair.INSIDE.items()
    }
    return {package: names for package, names in lacking.items() if names}


def refresh(workspace: Workspace, down: Iterable[str]) -> list[Drift]:
    """What a refresh would write into the state, which it does not."""
    leave_out = [part for package in down for part in ("--exclude", f"**{package}:*/**")]
    arguments = ["--preview-only", "--parallel", update.PARALLEL, *leave_out]
    tracker, found = Tracker(), dict[str, Drift]()
    try:
        for event in workspace.events("refresh", *arguments, timeout=TIMEOUT):
            tracker(event)
            data = (event.get("resOutputsEvent") or {}).get("metadata")
            if data and (drift := of_step(data)):
                found[data["urn"]] = drift
    except Failure as failure:
        raise update.explain(tracker, failure) from None
    return sorted(found.values(), key=lambda drift: (drift.type, drift.name))


def of_step(data: Mapping[str, Any]) -> Drift | None:
    """The drift that the end of a refresh's step tells of, in `old` and `new`; what is gone has no `new`.

    What the program sets is compared; what servers fill in themselves, such as the address of a container that was
    started again, is not drift.
    """
    old, new = data.get("old") or {}, data.get("new") or {}
    if not old.get("custom") or data["type"] == STACK_TYPE or data["type"].startswith("pulumi:"):
        return None
    kind, name, identity = data["type"], name_of(data["urn"]), str(old.get("id", ""))
    if not new:
        return Drift(REMOVED, kind, name, identity)
    before, after = old.get("inputs") or {}, new.get("inputs") or {}
    pairs = (
        Difference(path, steps.value(before, path), steps.value(after, path))
        for path in sorted(data.get("detailedDiff") or {})
        if top(path) in before or top(path) in after
    )
    found = tuple(each for each in pairs if each.expected != each.actual or each.actual == steps.SECRET)
    if any(each.path == MUST_RUN and each.actual is False for each in found):
        return Drift(STOPPED, kind, name, identity, (Difference("running", True, False),))
    return Drift(CHANGED, kind, name, identity, found) if found else None


def top(path: str) -> str:
    """The property that a path begins with."""
    return path.replace("[", ".").split(".")[0]


def document(report: Report) -> dict[str, Any]:
    """The document of `--json`: ``docs/schemas/drift.schema.json``."""
    return {
        "stack": report.stack,
        "drifted": report.drifted,
        "changed": [
            asdict(drift) | {"properties": [asdict(each) for each in drift.properties]} for drift in report.changed
        ],
        "unmanaged": [asdict(each) for each in report.unmanaged],
        "unseen": [asdict(each) for each in report.unseen],
    }


def show(report: Report) -> None:
    """The report for people."""
    for drift in report.changed:
        console.out().print(f"{MARKS[drift.kind]} {drift.kind}  {drift.name} ({drift.type})", markup=False)
        lines = [
            f"    {each.path}: expected {changes.text(each.expected)}, is {changes.text(each.actual)}"
            for each in drift.properties
            if drift.kind == CHANGED
        ]
        for line in console.fold(lines):
            console.out().print(line, markup=False)
    for found in report.unmanaged:
        owner = f" of {found.of}" if found.of else ""
        console.out().print(f"+ added    {found.kind} {found.name}{owner}: remove it by {found.remove}", markup=False)
    for unseen in report.unseen:
        console.out().print(f"? unseen   {unseen.what}: {unseen.why}", markup=False)


def conclusion(report: Report) -> str:
    """The last line, and what to do."""
    if not report.drifted:
        return f"{report.stack}: no drift" + (", but not all could be seen" if report.unseen else "")
    lines = [f"{report.stack}: {len(report.changed)} changed or gone, {len(report.unmanaged)} added by hand"]
    if report.changed:
        lines.append(f"`./nexus drift {report.stack} --repair` puts back what the stack has")
    if report.unmanaged:
        lines.append("what was added to a server stays until it is removed as said above, or declared")
    return "\n".join(lines)
