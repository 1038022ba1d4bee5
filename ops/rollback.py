"""`nexus rollback`: bring back the version of an earlier update, by that version's own program. A new update, forward.

The program comes from git, in a folder of its own with its own packages; settings from the history; the state is the
stack's, and is changed as every `up` changes it: step by step, by what differs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.settings import file_of
from ops import changes, console, git, irreversible, locks, other_version, paths, preview, records, session, worktrees
from ops import source as sources
from ops.changes import Preview
from ops.errors import BAD_INPUT, INTERRUPTED, UNHEALTHY, Failure
from ops.irreversible import NoBackups, Obstacle
from ops.records import Book, Record
from ops.session import Session

#: What a message begins with when its update was a rollback itself.
AGAIN = re.compile(r"^rollback to \d+: ")
#: Settings that a rollback took the place of are kept here.
REPLACED = "replaced-settings"


@dataclass(frozen=True)
class Asked:
    """What may be done: without asking (``yes``), and losses by name. ``timeout`` in seconds."""

    yes: bool
    accepted: Collection[str] = ()
    timeout: int = 3600


def run(
    stack: str, number: int, source: str | None, *, yes: bool, accept: Sequence[str], lock_timeout: int, timeout: int
) -> int:
    """Preview, refuse or ask, apply."""
    with locks.hold(stack, f"rollback {stack} {number}", lock_timeout, console.say):
        current = session.begin(stack, source, images=False, ports=False)
        locks.settle(current.workspace, lock_timeout, console.say)
        book = records.of(current.workspace.stack, current.workspace.env)
        return back(current, book, book.one(number), Asked(yes, frozenset(accept), timeout))


def back(current: Session, book: Book, target: Record, asked: Asked) -> int:
    """Bring a version back; the stack's lock is held. Raises Failure, before anything is touched, when it may not."""
    stack, file = book.stack, paths.ROOT / file_of(book.stack)
    require(stack, target, file.read_text())
    later = [record for record in book.all() if record.number > target.number]
    settings = irreversible.settings(target, file.read_text(), later, asked.accepted)
    decision = sources.decide(None).source
    env = other_version.environment(current.workspace, decision, target.number)
    images = other_version.image_source(target, decision)
    with worktrees.at(target.commit, console.say) as project:
        (project / file.name).write_text(settings)
        console.say(f"{stack}, back to update {target.number} ({target.commit[:12]}, {target.message}):")
        found = previewed(stack, project, env, images)
        preview.text(found)
        refuse(stack, target, irreversible.find(target, later, found.changes, NoBackups()), asked.accepted)
        if not asked.yes and not console.ask(f"Bring update {target.number} of {stack} back?"):
            command = f"./nexus rollback {stack} {target.number} --yes"
            raise Failure("nothing was changed", "it was not confirmed", command, BAD_INPUT)
        message = f"rollback to {target.number}: {AGAIN.sub('', target.message)}"
        options = ["--message", message, "--timeout", str(asked.timeout), *images]
        code = other_version.run(project, ["up", stack, *options], env)
    end(stack, target, code)
    take_over(stack, file, settings)
    return code


def require(stack: str, target: Record, settings: str) -> None:
    """Raise Failure when the version cannot be had again at all. ``settings``: those of today."""
    number, choose = target.number, f"choose one that is good: ./nexus history {stack}"
    if not target.good:
        what = "removed the environment" if target.kind == "down" else f"did not end well ({target.result})"
        rule = "only a version that ran healthy is brought back"
        raise Failure(f"update {number} of {stack} {what}", rule, choose, BAD_INPUT)
    if not target.commit or not git.has(target.commit):
        why = f"commit {target.commit} is not in this clone" if target.commit else "it was not under git"
        remedy = "fetch it: git fetch --all --tags" if target.commit else choose
        raise Failure(f"the program of update {number} of {stack} cannot be had", why, remedy, BAD_INPUT)
    if irreversible.other_passphrase(target, settings):
        raise Failure(
            f"the secrets in the settings of update {number} of {stack} cannot be read",
            "they were encrypted with another passphrase than the stack has now",
            f"take them from `./nexus history {stack} {number} --json`, set its secrets anew, and `./nexus up {stack}`",
            BAD_INPUT,
        )


def previewed(stack: str, project: Path, env: dict[str, str], images: list[str]) -> Preview:
    """What the version would change today, as its own program says."""
    code, text = other_version.answer(project, ["preview", stack, "--json", *images], env)
    if code:
        raise Failure(
            f"the version of then cannot say what it would change in {stack}",
            "its own preview failed, above",
            f"go forward instead: ./nexus up {stack}",
            code,
        )
    return changes.parse(text, f"the preview of {stack} by that version")


def refuse(stack: str, target: Record, found: list[Obstacle], accepted: Collection[str]) -> None:
    """Say what cannot be undone; raise Failure unless each was accepted by its name, and nothing else was."""
    names = {obstacle.name for obstacle in found}
    if unknown := sorted(set(accepted) - names):
        known = ", ".join(sorted(names)) or "nothing here cannot be undone"
        raise Failure(f"there is no {unknown[0]!r} to accept", f"known: {known}", "leave it out", BAD_INPUT)
    for obstacle in found:
        console.say(f"cannot be undone: {obstacle.name}: {obstacle.says}")
    if missing := [obstacle for obstacle in found if obstacle.name not in accepted]:
        options = " ".join(f"--accept '{obstacle.name}'" for obstacle in found)
        raise Failure(
            f"going back to update {target.number} of {stack} does not undo everything: nothing was changed",
            "\n".join(f"{obstacle.name}: {obstacle.says}" for obstacle in missing),
            f"if that is acceptable: ./nexus rollback {stack} {target.number} {options}",
            BAD_INPUT,
        )


def end(stack: str, target: Record, code: int) -> None:
    """Raise what the run of the version ended with, but for services that are not healthy yet."""
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (0, UNHEALTHY):
        raise Failure(
            f"going back to update {target.number} of {stack} failed",
            "the run of that version says why, above",
            f"run it again, or go forward: `./nexus up {stack}` ({file_of(stack)} is as it was)",
            code,
        )


def take_over(stack: str, file: Path, settings: str) -> None:
    """Make the settings that run now those of the tree; what they replace is kept."""
    before = file.read_text()
    if before != settings:
        kept = paths.PRIVATE / REPLACED / f"{stack}-{time.strftime('%Y%m%d-%H%M%S')}.yaml"
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(before)
        whole = file.with_name(f"{file.name}.new")
        whole.write_text(settings)
        whole.replace(file)
        console.write(f"{file.name} has the settings of then, as they run now; those before it are in {kept}")
    console.write(
        f"the program in this tree is still {git.version(stack).commit[:12]}: `./nexus up {stack}` goes forward to it "
        "again, with these settings"
    )


def last_good(book: Book) -> Record | None:
    """The newest version that ran healthy."""
    return next((record for record in reversed(book.all()) if record.good), None)


def after(current: Session, failure: Failure, timeout: int) -> Failure:
    """Go back to the last good version after an update failed; the failure with how that went."""
    stack, book = current.workspace.stack, records.of(current.workspace.stack, current.workspace.env)
    target = last_good(book)
    if target is None:
        failure.remedy += f"\nthere is no good update of {stack} to go back to"
        return failure
    console.say(f"{failure.what}: going back to update {target.number}")
    try:
        code = back(current, book, target, Asked(yes=True, timeout=timeout))
    except Failure as second:
        failure.why += f"\ngoing back to update {target.number} failed, too: {second}"
        return failure
    healthy = "and every service is healthy" if code == 0 else "but not every service is healthy"
    failure.why += f"\nupdate {target.number} was brought back, {healthy}"
    failure.remedy = f"what was tried is in `./nexus history {stack}`; correct it, then `./nexus up {stack}`"
    return failure
