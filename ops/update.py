"""Runs an update and shows it: what runs now on a terminal, a line for each change in a log, and why it failed."""

from __future__ import annotations

from collections.abc import Iterable

from ops import console, diagnosis, objects, policy
from ops.errors import Failure
from ops.events import DOING, QUIET, Step, Tracker, name_of, short_type
from ops.progress import Board
from ops.workspace import Workspace

#: Everything that can start together should: most of an update is waiting for servers. The default is 4 x cores.
PARALLEL = "64"
STAGES = {"up": "provisioning", "destroy": "removing", "refresh": "looking"}


def apply(workspace: Workspace, verb: str, arguments: Iterable[str], timeout: float) -> Tracker:
    """Run `up`, `refresh` or `destroy` with progress; raises Failure with what failed and its diagnostics."""
    tracker = Tracker()
    with Board() as board:
        stage = board.stage(STAGES[verb])
        live = console.err().is_terminal

        def now(running: Iterable[Step]) -> None:
            stage.report(_line(tracker, [step for step in running if step.op not in QUIET]))

        def note(text: str) -> None:
            if live:
                console.say(f"  {text}")
            else:
                stage.report(text)

        tracker.report = note
        if live:
            tracker.now = now  # type: ignore[method-assign]
        try:
            for event in workspace.events(verb, "--yes", *arguments, timeout=timeout):
                tracker(event)
        except Failure as failure:
            stage.done("failed")
            problem = explain(tracker, failure)
            problem.remedy += "\nwhat was made so far is kept; the same command goes on from there"
            raise problem from None
        stage.spoke = True
        stage.done(tracker.summary)
    return tracker


def _line(tracker: Tracker, running: list[Step]) -> str:
    """``12 done - creating postgres-server, redis-server``."""
    names = [f"{DOING.get(step.op, step.op)} {name_of(step.urn)}" for step in running[-3:]]
    more = f" and {len(running) - 3} more" if len(running) > 3 else ""
    return f"{len(tracker.finished)} done" + (f" - {', '.join(names)}{more}" if names else "")


def explain(tracker: Tracker, failure: Failure) -> Failure:
    """The failure with the resource that caused it, what its plugin said, and the container's last words."""
    texts = [text for urn, text in tracker.messages if urn in tracker.failed or not tracker.failed]
    if not tracker.failed and (violations := policy.failure(tracker.policies)):
        return violations
    said = list(dict.fromkeys(line for text in texts for line in text.splitlines() if line.strip()))
    if not said and not tracker.failed:
        return failure
    names = ", ".join(f"{short_type(urn.split('::')[2].split('$')[-1])} {name_of(urn)}" for urn in tracker.failed[:3])
    what = f"{names} failed" if names else failure.what
    why = console.fold(said) or failure.why.splitlines()
    for name in _containers(tracker):
        words = _last_words(name)
        if words:
            why += [f"last lines of {name}:", *(f"  {line}" for line in words)]
    row = diagnosis.known("\n".join(texts))
    remedy = row.remedy if row else failure.remedy
    return Failure(what, "\n".join(why), remedy, row.code if row else failure.code)


def _containers(tracker: Tracker) -> list[str]:
    """Names of the containers that failed resources are about."""
    found = []
    for urn in tracker.failed:
        inputs = tracker.inputs.get(urn, {})
        name = inputs.get("container") or (inputs.get("name") if "container" in urn.lower() else None)
        if isinstance(name, str):
            found.append(name)
    return list(dict.fromkeys(found))[:3]


def _last_words(name: str) -> list[str]:
    try:
        with objects.connect() as client:
            return objects.last_words(client, name)
    except Failure:
        return []
