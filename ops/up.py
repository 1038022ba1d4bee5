"""`nexus up`: from whatever is there to a healthy environment."""

from __future__ import annotations

import time

from ops import (
    console,
    inputs,
    locks,
    majors,
    pages,
    plan,
    policy,
    recording,
    repair,
    session,
    status,
    update,
    worktrees,
)
from ops import source as sources
from ops.errors import UNHEALTHY, Failure
from ops.events import Tracker
from ops.session import Session

#: Seconds that a service may take to become healthy after the update (the update itself waited for its readiness).
SETTLE = 60.0


def run(
    stack: str,
    source: str | None,
    *,
    refresh: bool,
    lock_timeout: int,
    timeout: int,
    plan_file: str | None = None,
    message: str = "",
    rollback_on_failure: bool = False,
) -> int:
    """Create or update the stack, as a plan says if there is one; ends with a table of services."""
    inputs.load(stack)  # a wrong setting is said before anything else is looked at
    planned = plan.read(plan_file) if plan_file else None
    if planned:
        plan.require_fresh(planned, plan.files(stack))  # the rest needs Pulumi
    started = time.monotonic()
    with locks.hold(stack, f"up {stack}", lock_timeout, console.say):
        current = session.begin(stack, source, images=True, ports=True)
        majors.check(current.inputs, current.source)
        held = plan.hold(planned, current) if planned else None
        refresh = planned.refresh if planned else refresh
        try:
            tracker, rows = recorded(
                current, refresh=refresh, wait=lock_timeout, timeout=timeout, message=message, held=held
            )
            finish(current, tracker, rows, time.monotonic() - started)
        except Failure as failure:
            if not rollback_on_failure:
                raise
            from ops import rollback

            raise rollback.after(current, failure, timeout) from None
    return 0


def recorded(
    current: Session, *, refresh: bool, wait: float, timeout: float, message: str, held: list[str] | None = None
) -> tuple[Tracker, list[status.Row]]:
    """Repair what a killed run left, then update, with a record of it in the history.

    ``held`` are arguments that hold Pulumi to a plan; then nothing is brought back first, as the plan says all.
    """
    worktrees.sweep(console.say)
    repair.before(current.workspace, wait, console.say)
    made = current.workspace.ensure()
    with recording.update(current, message=message) as entry:
        tracker = provision(current, refresh=refresh and not made, timeout=timeout, held=held)
        rows = settled(current)
        entry.healthy(rows)
    return tracker, rows


def provision(current: Session, *, refresh: bool, timeout: float, held: list[str] | None) -> Tracker:
    """Update; ``refresh``: compare with the real world first."""
    started, healed = time.monotonic(), None
    arguments = ["--skip-preview", "--parallel", update.PARALLEL, *policy.arguments(current.workspace), *(held or [])]
    if refresh:
        healed = heal(current, arguments, timeout) if held is None else None
        arguments = [*arguments, "--refresh"]
    tracker = update.apply(current.workspace, "up", arguments, timeout)
    if healed:
        tracker.absorb(healed)
    current.seconds["provisioning"] = time.monotonic() - started
    return tracker


def heal(current: Session, arguments: list[str], timeout: float) -> Tracker | None:
    """Bring back servers first: what is registered with one can only be compared once it answers.

    Other containers come back with the update itself: they may wait for an entry that was changed, too.
    """
    gone = repair.stopped(current.workspace)
    if not repair.homes(current.workspace.stack) & set(gone):
        return None
    console.say(f"not running, brought back first: {', '.join(gone)}")
    targets = [part for pattern in repair.SERVERS for part in ("--target", pattern)]
    update.apply(current.workspace, "refresh", ["--skip-preview", *targets], timeout)
    return update.apply(current.workspace, "up", arguments, timeout)


def settled(current: Session) -> list[status.Row]:
    """The services' rows once all are healthy, or after SETTLE seconds as they are then."""
    started = time.monotonic()
    while True:
        rows = status.collect(current.inputs)
        if all(row.well for row in rows) or time.monotonic() - started > SETTLE:
            current.seconds["health"] = time.monotonic() - started
            return rows
        time.sleep(0.5)


def finish(current: Session, tracker: Tracker, rows: list[status.Row], total: float) -> None:
    """The table, what changed, how long each stage took, and what to try next."""
    stack = current.inputs.stack
    status.table(rows, tracker.service_seconds([row.name for row in rows]))
    healthy = sum(row.well for row in rows)
    stages = ", ".join(f"{name} {console.seconds(took)}" for name, took in current.seconds.items())
    console.write(f"\n{healthy} of {len(rows)} healthy: {tracker.summary}, in {console.seconds(total)} ({stages})")
    require_health(stack, rows)
    why = sources.recorded()
    if any(row.stand_in for row in rows) and why:
        console.write(f"stand-ins run where originals cannot be had: the source is {current.source} ({why.why})")
    console.write("\nnext:" + "".join(f"\n  {line}" for line in hints(stack, rows)))


def require_health(stack: str, rows: list[status.Row]) -> None:
    """Raise Failure, with the logs to read, unless all services are well."""
    if sick := [row.name for row in rows if not row.well]:
        raise Failure(
            f"{', '.join(sick)}: not healthy",
            f"the update went through, but {SETTLE:.0f} s later engine, Consul and gateway do not all say so",
            f"./nexus logs {stack} {' '.join(sick)}",
            UNHEALTHY,
        )


def hints(stack: str, rows: list[status.Row]) -> list[str]:
    """Commands worth trying."""
    door = pages.front(rows)
    tries = [f"{door} shows the API of every service"] if door else []
    return [
        *tries,
        f"./nexus status {stack}",
        f"./nexus preview {stack}",
        pages.PASSWORDS.format(stack=stack),
    ]
