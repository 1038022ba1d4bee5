"""`nexus preview`: what `up` would change, for people and as one JSON document. Nothing is changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ops import console, locks, repair, session, update
from ops.errors import FAILED, Failure
from ops.events import STACK_TYPE, Tracker, name_of
from ops.workspace import Workspace

#: Operations that are part of a replacement; the `replace` step stands for them.
PARTS = {"create-replacement", "delete-replaced"}
ACTIONS = ("create", "update", "replace", "delete")
MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
STYLES = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}
SECRET, UNKNOWN_YET, ABSENT = "[secret]", "(known after up)", None
#: How the engine marks a secret or an unknown value in its events.
SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
#: What a bridged plugin notes beside the inputs of a block; nothing that anybody wrote.
DEFAULTS = "__defaults"
LONGEST = 80


@dataclass(frozen=True)
class Property:
    """One changed property: its path, and the values before and after (secrets masked)."""

    path: str
    kind: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """One step that changes something."""

    op: str
    type: str
    name: str
    properties: tuple[Property, ...]


def change(data: Mapping[str, Any]) -> Change:
    """A step from the engine's description of it."""
    old, new = ((data.get(side) or {}).get("inputs") or {} for side in ("old", "new"))
    details = data.get("detailedDiff") or {}
    if not details and data["op"] in ("update", "replace"):
        details = {key: {"kind": "update"} for key in data.get("diffs") or data.get("keys") or ()}
    properties = (
        Property(path, str(detail.get("kind", "update")), value(old, path), value(new, path))
        for path, detail in sorted(details.items())
    )
    seen = tuple(p for p in properties if p.old != p.new or p.old in (SECRET, UNKNOWN_YET, ABSENT))
    return Change(data["op"], data["type"], name_of(data["urn"]), seen)


def value(inputs: Mapping[str, Any], path: str) -> Any:
    """The value at ``a.b[0].c``; secrets and values not known yet are said as such."""
    found: Any = inputs
    for part in path.replace("[", ".").replace("]", "").replace('"', "").split("."):
        found = _masked(found)
        if isinstance(found, Mapping):
            found = found.get(part, ABSENT)
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return found if found == SECRET else ABSENT
    return _masked(found)


def _masked(found: Any) -> Any:
    if isinstance(found, Mapping):
        if SIGNATURE in found:
            return SECRET
        return {key: _masked(inner) for key, inner in found.items() if key != DEFAULTS}
    if isinstance(found, list):
        return [_masked(inner) for inner in found]
    return UNKNOWN_YET if found == UNKNOWN else found


def collect(events: Iterable[Mapping[str, Any]], tracker: Tracker) -> list[Change]:
    """The steps that change something, in the engine's order; the tracker keeps diagnostics."""
    found: dict[str, Change] = {}
    for event in events:
        tracker(event)
        data = (event.get("resourcePreEvent") or {}).get("metadata")
        if data and data["op"] in ACTIONS and data["type"] != STACK_TYPE:
            found[data["urn"]] = change(data)
    return list(found.values())


def document(stack: str, changes: list[Change], counted: Mapping[str, int]) -> dict[str, Any]:
    """The document of `--json`: ``docs/schemas/preview.schema.json``."""
    counts = Counter(step.op for step in changes)
    return {
        "stack": stack,
        "changes": {**{op: counts[op] for op in ACTIONS}, "same": counted.get("same", 0)},
        "steps": [
            {
                "op": step.op,
                "type": step.type,
                "name": step.name,
                "properties": [{"path": p.path, "kind": p.kind, "old": p.old, "new": p.new} for p in step.properties],
            }
            for step in changes
        ],
    }


def show(changes: list[Change]) -> None:
    """The diff for people."""
    for step in changes:
        head = f"[{STYLES[step.op]}]{MARKS[step.op]} {step.op}[/] "
        console.out().print(head, end="")
        console.out().print(f"{step.name} ({step.type})", markup=False)
        lines = [f"    {p.path}: {text(p.old)} -> {text(p.new)}" for p in step.properties]
        for line in console.fold(lines):
            console.out().print(line, markup=False)


def text(shown: Any) -> str:
    """A value on one line."""
    if shown is ABSENT:
        return "(none)"
    line = shown if isinstance(shown, str) else json.dumps(shown, sort_keys=True)
    line = line.replace("\n", "\\n")
    return line if len(line) <= LONGEST else line[: LONGEST - 4] + " ..."


def run(stack: str, source: str | None, as_json: bool, refresh: bool, expect_no_changes: bool) -> int:
    """Print what would change."""
    current = session.begin(stack, source, images=False, ports=False)
    changes, tracker = compute(current.workspace, refresh=refresh)
    result = document(stack, changes, tracker.changes)
    if as_json:
        console.write(json.dumps(result, indent=2))
    else:
        show(changes)
        counts = ", ".join(f"{count} to {op}" for op, count in result["changes"].items() if count and op != "same")
        console.write(f"{stack}: {counts or 'no changes'}, {result['changes']['same']} unchanged")
    if expect_no_changes and changes:
        raise Failure(
            f"{len(changes)} changes where none were expected (--expect-no-changes)",
            "\n".join(console.fold([f"{step.op} {step.name}" for step in changes])),
            f"`./nexus up {stack}` applies them; if nobody changed anything, something else did: look at them first",
            FAILED,
        )
    return 0


def compute(workspace: Workspace, *, refresh: bool) -> tuple[list[Change], Tracker]:
    """Ask Pulumi. A stack that does not exist is previewed as all new, without being made for good."""
    if workspace.state_file:
        repair.mend(workspace.state_file, console.say)
    locks.settle(workspace, 60, console.say)
    settings = workspace.root / f"Pulumi.{workspace.stack}.yaml"
    kept = settings.read_bytes() if settings.exists() else None
    made, tracker = workspace.ensure(), Tracker()
    arguments = ["--parallel", update.PARALLEL, *(["--refresh"] if refresh else [])]
    try:
        return collect(workspace.events("preview", *arguments, timeout=600), tracker), tracker
    except Failure as failure:
        raise update.explain(tracker, failure) from None
    finally:
        if made:
            workspace.run("stack", "rm", "--yes", "--preserve-config")
            if kept is not None:
                settings.write_bytes(kept)  # making the stack wrote its encryption salt there
