"""`nexus down`: remove an environment with its data, and make sure that nothing of it is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components._naming import physical
from infra.settings import file_of
from ops import console, locks, objects, recording, repair, session, swarm, update
from ops.errors import BAD_INPUT, Failure
from ops.objects import ORDER, VOLUME, Object
from ops.session import Session
from ops.workspace import Workspace


def run(stack: str, source: str | None, yes: bool, lock_timeout: int, timeout: int) -> int:
    """List, ask, destroy, verify."""
    with objects.connect() as client:
        found = objects.inventory(client, stack)
    show(stack, found)
    if not yes and not console.ask(f"Remove {stack} with its data for good?"):
        raise Failure("nothing was removed", "it was not confirmed", f"./nexus down {stack} --yes", BAD_INPUT)
    with locks.hold(stack, f"down {stack}", lock_timeout, console.say):
        current = session.begin(stack, source, images=False, ports=False)
        refuse_protected(current.workspace)
        destroy(current, lock_timeout, timeout)
        left = sweep(stack)
    if left:
        raise Failure(
            f"{len(left)} objects of {stack} are still there",
            ", ".join(f"{item.kind} {item.name}" for item in left),
            "something else uses them: `docker ps --all` shows what; then run the command again",
        )
    with objects.connect() as client:
        swarm.release(client, stack)
    console.write(f"{stack} is gone: no {_kinds()} of it is left")
    return 0


def _kinds() -> str:
    return f"{', '.join(ORDER[:-1])} or {ORDER[-1]}"


def refuse_protected(workspace: Workspace) -> None:
    """Before anything is removed: stop when the stack protects some of it. Raises Failure."""
    if not workspace.exists():
        return
    resources = repair.read(workspace)["deployment"].get("resources") or []
    names = [resource["urn"].rsplit("::", 1)[-1] for resource in resources if resource.get("protect")]
    if names:
        raise Failure(
            f"{workspace.stack} protects its data: nothing was removed",
            f"protected: {', '.join(names)}",
            f"if it may go: set nexus:protect to false in {file_of(workspace.stack)}, run `./nexus up "
            f"{workspace.stack}`, then this again",
            BAD_INPUT,
        )


def show(stack: str, found: list[Object]) -> None:
    """What will be removed, data last."""
    if not found:
        console.say(f"{stack}: no {_kinds()} exists")
        return
    console.say(f"{stack}: this will be removed:")
    for kind in ORDER:
        names = [item.name for item in found if item.kind == kind]
        note = " with all data in them" if kind == VOLUME else ""
        if names:
            console.say(f"  {len(names)} {kind}{'s' if len(names) > 1 else ''}{note}: {', '.join(names)}")


def destroy(current: Session, wait: float, timeout: float) -> None:
    """Destroy what the state has and forget the stack; works on a platform that is half up, or not at all."""
    workspace = current.workspace
    locks.settle(workspace, wait, console.say)
    if workspace.state_file:
        repair.mend(workspace.state_file, console.say)
    if not workspace.exists():
        return
    with recording.update(current, "down"):
        forget_unreachable(workspace)
        update.apply(workspace, "destroy", ["--skip-preview", "--parallel", update.PARALLEL], timeout)
        workspace.run("stack", "rm", "--yes", "--preserve-config")


def forget_unreachable(workspace: Workspace) -> None:
    """Drop unfinished operations, and resources inside servers that do not run: they go with their server's data."""
    state = repair.read(workspace)
    with objects.connect() as client:
        alive = {
            found["Name"].lstrip("/")
            for found in objects.inspect(client, workspace.stack)
            if found["State"]["Status"] == "running"
        }
        alive |= {service.name for service in swarm.services(client, workspace.stack) if service.running}
    unreachable = [p for p, (server, *_) in repair.INSIDE.items() if physical(workspace.stack, server) not in alive]
    gone = tuple(unreachable)
    smaller = without(state, gone)
    if smaller != state:
        console.say("forgetting what was never finished, and what lived inside servers that no longer run")
        workspace.load(without(workspace.export(), gone))


def without(state: Mapping[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any]:
    """The state without resources of these types and without unfinished operations; no reference to them is left."""
    deployment = {key: value for key, value in state["deployment"].items() if key != "pending_operations"}
    resources = deployment.get("resources") or []
    dropped = {item["urn"] for item in resources if item["type"].startswith(prefixes)}
    kept = [_unlinked(item, dropped) for item in resources if item["urn"] not in dropped]
    return {**state, "deployment": {**deployment, "resources": kept}}


def _unlinked(resource: Mapping[str, Any], dropped: set[str]) -> dict[str, Any]:
    """A resource that no longer depends on what was dropped."""
    result = dict(resource)
    if "dependencies" in result:
        result["dependencies"] = [urn for urn in result["dependencies"] if urn not in dropped]
    if "propertyDependencies" in result:
        by_property = result["propertyDependencies"] or {}
        result["propertyDependencies"] = {
            key: [urn for urn in urns or [] if urn not in dropped] for key, urns in by_property.items()
        }
    if result.get("deletedWith") in dropped:
        del result["deletedWith"]
    return result


def sweep(stack: str) -> list[Object]:
    """Remove what the state did not know but carries the stack's label; returns what could not be removed."""
    from docker.errors import APIError

    with objects.connect() as client:
        left = sorted(objects.inventory(client, stack), key=lambda item: ORDER.index(item.kind))
        for item in left:
            try:
                objects.remove(client, item)
                console.say(f"removed a leftover {item.kind}: {item.name}")
            except APIError as error:
                console.say(f"{item.kind} {item.name}: {error.explanation}")
        return objects.inventory(client, stack)
