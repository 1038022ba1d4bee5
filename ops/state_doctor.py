"""`nexus state doctor`: is the state sound, can it be read, does the engine have what it says? And back from a copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ops import console, credentials, doctor, halfmade, locks, objects, records, repair, session, state_restore, states
from ops.errors import BAD_INPUT, FAILED, Failure
from ops.objects import VOLUME
from ops.preflight import FAILED as BAD
from ops.preflight import Check, check
from ops.workspace import Workspace

#: A volume with files of the program's; its id is not the volume's.
FILES = "nexus:index:Files"
#: Problems that one line of the report names.
SHOWN = 6
FORWARD, BACK = "`./nexus up {}` repairs it", "`./nexus state doctor {} --restore` goes back to the last good copy"


def run(
    stack: str, number: int | None, source: str | None, *, restore: bool, yes: bool, as_json: bool, lock_timeout: int
) -> int:
    """Check; with ``restore`` go back to a copy and check that."""
    if number is not None and not restore:
        command = f"./nexus state doctor {stack} {number} --restore"
        raise Failure(f"what about update {number}?", "a number says which copy to restore", command, BAD_INPUT)
    with locks.hold(stack, f"state doctor {stack}", lock_timeout, console.say):
        space = session.begin(stack, source, images=False, ports=False).workspace
        locks.settle(space, lock_timeout, console.say)
        if restore:
            state_restore.back(space, number, read(space), yes)
        checks = list(every(space))
    well = not any(one.result == BAD for one in checks)
    if as_json:
        document = {"stack": stack, "ok": well, "checks": [one.document() for one in checks]}
        console.write(json.dumps(document, indent=2))
    else:
        for one in checks:
            doctor.show(one)
    return 0 if well else FAILED


def every(space: Workspace) -> Iterator[Check]:
    """All checks; those after the first need something to look at."""
    state, problem = read(space)
    again, back = FORWARD.format(space.stack), BACK.format(space.stack)
    if state is None:
        yield check("readable", False, problem, "one JSON document, whole", back)
        return
    yield check("readable", True, f"{len(states.resources(state))} resources", "one JSON document, whole", "")
    yield listed("sound", states.problems(state), "each resource once, after all that it needs", back)
    yield listed("finished", states.unfinished(state), "no operation that a kill cut off", again)
    yield secrets(space)
    yield from engine(space.stack, state, again)
    yield unchanged(space, state)


def read(space: Workspace) -> tuple[dict[str, Any] | None, str]:
    """The state, or None and why it cannot be read. Nothing is mended here."""
    try:
        state = repair.read(space)
    except (ValueError, KeyError, TypeError, OSError) as error:
        return None, f"{space.state_file}: {type(error).__name__}: {error}"
    except Failure as failure:
        return None, failure.why
    return (state, "") if isinstance(state.get("deployment"), dict) else (None, "it has no deployment")


def listed(name: str, problems: list[str], rule: str, remedy: str, *, hard: bool = True) -> Check:
    """A check that is good when nothing was found."""
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return check(name, not problems, "; ".join(problems[:SHOWN]) + more or "yes", rule, remedy, hard=hard)


def secrets(space: Workspace) -> Check:
    """Whether the passphrase opens what is encrypted. What it opens is seen by nobody."""
    rule, remedy = "the passphrase opens every secret", "set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the stack's"
    try:
        credentials.shown(space)
    except Failure as failure:
        return check("secrets", False, f"{failure.what}: {failure.why}".splitlines()[0], rule, remedy)
    return check("secrets", True, "can be read", rule, "")


def engine(stack: str, state: states.State, again: str) -> Iterator[Check]:
    """What the state has and the engine lacks, and the reverse."""
    with objects.connect() as client:
        inventory = objects.inventory(client, stack)
    there, known = {item.id for item in inventory}, halfmade.known_ids(state)
    lost = sorted(set(states.volumes(state)) - there)
    missing = [
        f"{one['type'].rsplit(':', 1)[-1]} {states.name_of(one['urn'])}"
        for one in states.living(state).values()
        if one["type"] in halfmade.DOCKER and one["id"] not in there
    ]
    filled = {one["inputs"].get("volume") for one in states.living(state).values() if one["type"] == FILES}
    left = [item.name for item in inventory if item.kind == VOLUME and item.id not in known | filled]
    orphans = [f"{item.kind} {item.name}" for item in repair.unknown(inventory, dict(state))]
    yield listed("there", missing, "the engine has every object of the state", again)
    yield listed("data", lost, "the engine has every volume of the state", "restore its data, if there is a backup")
    yield listed("known", orphans, "the state has every object of the stack", again)
    yield listed(
        "volumes", left, "the state has every volume", "look what is in them; `up` never removes one", hard=False
    )


def unchanged(space: Workspace, state: states.State) -> Check:
    """Whether the state is as the last update left it. Plain Pulumi may change it, so this only warns."""
    book = records.of(space.stack, space.env)
    last = next((one for one in reversed(book.all()) if one.after), None)
    rule, remedy = "as the last update left it", "if nobody used plain Pulumi meanwhile, find out what did it"
    if last is None:
        return check("copy", False, "there is none yet", rule, f"`./nexus up {space.stack}` keeps one", hard=False)
    try:
        differing = states.compare(book.state(last.after), state)
    except Failure as failure:
        return check("copy", False, failure.why, "a whole copy", f"`./nexus up {space.stack}` keeps one", hard=False)
    changed = [f"{one.op} {one.name}" for one in differing]
    if changed:
        return listed("copy", [f"since update {last.number}: {text}" for text in changed], rule, remedy, hard=False)
    return check("copy", True, f"update {last.number} left it so", rule, "")
