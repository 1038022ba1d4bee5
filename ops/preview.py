"""`nexus preview`: what `up` would change, as text, as Markdown or as one JSON document. Nothing is changed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ops import changes, console, locks, majors, policy, repair, risk, session, update
from ops.changes import Change, Preview, collect
from ops.errors import FAILED, Failure
from ops.events import Tracker
from ops.follow import Event
from ops.workspace import Workspace

__all__ = ["Change", "Preview", "compute"]

MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
STYLES = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}


def run(
    stack: str, source: str | None, *, form: str, refresh: bool, expect_no_changes: bool, save_plan: str | None = None
) -> int:
    """Print what would change; with ``save_plan``, also write what `up --plan` holds itself to."""
    from ops import plan

    target = plan.target(save_plan) if save_plan else None
    current = session.begin(stack, source, images=False, ports=False)
    majors.check(current.inputs, current.source)
    with tempfile.TemporaryDirectory() as folder:
        pulumi = Path(folder) / "plan.json"
        found, tracker, failure = look(current.workspace, refresh=refresh, save_plan=pulumi if target else None)
        preview = of(stack, found, tracker)
        if failure and not any(one.refuses for one in preview.violations):
            raise failure
        show(preview, form)
        if refused := policy.failure(tracker.policies):
            raise refused
        if target:
            plan.write(target, plan.make(current, found, refresh=refresh, pulumi=pulumi))
    if expect_no_changes and found:
        raise Failure(
            f"{len(found)} changes where none were expected (--expect-no-changes)",
            "\n".join(console.fold([f"{step.op} {step.name}" for step in found])),
            f"`./nexus up {stack}` applies them; if nobody changed anything, something else did: look at them first",
            FAILED,
        )
    return 0


def of(stack: str, found: list[Change], tracker: Tracker) -> Preview:
    """The preview of what was computed."""
    return Preview(stack, tuple(found), tracker.changes.get("same", 0), changes.violations(tracker.policies))


def show(preview: Preview, form: str) -> None:
    """Write a preview in one of its formats."""
    if form == "json":
        console.write(json.dumps(changes.document(preview), indent=2))
    elif form == "markdown":
        from ops import preview_markdown

        console.write(preview_markdown.render([preview]))
    else:
        text(preview)


def text(preview: Preview) -> None:
    """The diff for people at a terminal."""
    for one in preview.changes:
        console.out().print(f"[{STYLES[one.op]}]{MARKS[one.op]} {one.op}[/] ", end="")
        console.out().print(f"{one.name} ({one.type})", markup=False)
        for each in one.risks:
            if each.label != risk.SAFE:
                console.out().print(f"    {each.label}: {each.why}", markup=False)
        if one.cause:
            console.out().print(f"    because: {one.cause}", markup=False)
        lines = [f"    {p.path}: {changes.text(p.old)} -> {changes.text(p.new)}" for p in one.properties]
        for line in console.fold(lines):
            console.out().print(line, markup=False)
    for line in policy.listing(preview.violations):
        console.out().print(f"policy exception: {line}", markup=False)
    counts = ", ".join(f"{count} to {op}" for op, count in preview.counts.items() if count)
    worst = f", worst risk: {preview.risk}" if preview.changes else ""
    console.write(f"{preview.stack}: {counts or 'no changes'}, {preview.same} unchanged{worst}")


def compute(workspace: Workspace, *, refresh: bool) -> tuple[list[Change], Tracker]:
    """The changes, sorted by risk, and what else the engine said; raises Failure also when a policy refuses them."""
    found, tracker, failure = look(workspace, refresh=refresh)
    if failure:
        raise failure
    return found, tracker


def look(
    workspace: Workspace, *, refresh: bool, save_plan: Path | None = None
) -> tuple[list[Change], Tracker, Failure | None]:
    """Ask Pulumi. A stack that does not exist is previewed as all new, without being made for good.

    ``save_plan`` is where Pulumi writes its own plan. Not of a stack that is made for this alone: the plan's secrets
    are encrypted with the salt of a stack, and this one's is thrown away with it.
    """
    if workspace.state_file:
        repair.mend(workspace.state_file, console.say)
    locks.settle(workspace, 60, console.say)
    settings = workspace.root / f"Pulumi.{workspace.stack}.yaml"
    kept = settings.read_bytes() if settings.exists() else None
    made, tracker = workspace.ensure(), Tracker()
    arguments = ["--parallel", update.PARALLEL, *(["--refresh"] if refresh else []), *policy.arguments(workspace)]
    arguments += ["--save-plan", str(save_plan)] if save_plan and not made else []
    events, failure = list[Event](), None
    try:
        for event in workspace.events("preview", *arguments, timeout=600):
            events.append(event)
    except Failure as raised:  # what the engine has said until then is told all the same
        failure = raised
    finally:
        if made:
            workspace.run("stack", "rm", "--yes", "--preserve-config")
            if kept is not None:
                settings.write_bytes(kept)  # making the stack wrote its encryption salt there
    found = collect(events, tracker)
    return found, tracker, update.explain(tracker, failure) if failure else None
