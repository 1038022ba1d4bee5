"""Before an update: make good what a killed run left, so that state and world agree again and nothing is orphaned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components._labels import STACK
from components._naming import physical
from ops import credentials, halfmade, halfmade_entries, locks, objects, orphans, swarm
from ops.errors import BAD_INPUT, Failure
from ops.objects import ORDER, VOLUME, Object
from ops.workspace import Workspace

Report = Callable[[str], None]
#: The resources that are servers, their networks and volumes, as patterns of URNs.
SERVERS = ("**docker:index/**", "**nexus:index:Files::**")
RUN_TYPES = ("docker:index/container:Container", "docker:index/service:Service")
#: Types of entries that live inside a server: the containers without which they cannot be looked at.
INSIDE = {"kong:": ("kong", "postgres"), "consul:": ("consul",), "vault:": ("vault",)}


def before(workspace: Workspace, wait: float, report: Report) -> None:
    """Settle locks, end orphaned plugins, mend a torn state, remove half-made objects and orphaned ones."""
    locks.settle(workspace, wait, report)
    orphans.end(workspace.env.get("PULUMI_BACKEND_URL", ""), report)
    if workspace.state_file:
        mend(workspace.state_file, report)
    if not workspace.exists():
        refuse_foreign(workspace.stack)
        return
    state = read(workspace)
    unfinished = halfmade.pending(state)
    if any(operation.type in halfmade_entries.TYPES for operation in unfinished):  # servers are asked with passwords
        state = credentials.shown(workspace)
        unfinished = halfmade.pending(state)
    with objects.connect() as client:
        for operation in unfinished:
            report(f"a killed run was {operation.op} {operation.urn.rsplit('::', 1)[-1]}")
            halfmade.clean(operation, state, client, report)
        sweep(objects.inventory(client, workspace.stack), state, client, report)
    if unfinished:
        workspace.load(without_pending(workspace.export()))


def stopped(workspace: Workspace) -> list[str]:
    """Containers and services that must run before the stack can be compared with the world, and do not.

    Those the state has (removed, stopped or broken by hand), and the servers that other entries of the state live in
    (half made when a run was killed, so that the state has the entries without the server).
    """
    resources = read(workspace)["deployment"].get("resources") or []
    with objects.connect() as client:
        listed = client.api.containers(filters={"label": f"{STACK}={workspace.stack}"})
        services = {service for service in swarm.services(client, workspace.stack) if service.running}
    running = {item["Id"] for item in listed} | {item["Names"][0].lstrip("/") for item in listed}
    running |= {service.id for service in services} | {service.name for service in services}
    found = {
        str((resource.get("inputs") or {}).get("name", resource["id"]))
        for resource in resources
        if resource["type"] in RUN_TYPES and resource.get("id") and resource["id"] not in running
    }
    for prefix, servers in INSIDE.items():
        if any(resource["type"].startswith(prefix) for resource in resources):
            found |= {name for server in servers if (name := physical(workspace.stack, server)) not in running}
    return sorted(found)


def homes(stack: str) -> set[str]:
    """The names of the servers that entries of the state live in."""
    return {physical(stack, server) for servers in INSIDE.values() for server in servers}


def read(workspace: Workspace) -> dict[str, Any]:
    """The stack's state as `stack export` gives it; a file backend's file says the same without starting the CLI."""
    if workspace.state_file is None:
        return workspace.export()
    checkpoint = json.loads(workspace.state_file.read_text())
    return {"version": checkpoint["version"], "deployment": checkpoint["checkpoint"].get("latest") or {}}


def without_pending(state: dict[str, Any]) -> dict[str, Any]:
    """The state without its unfinished operations."""
    deployment = {key: value for key, value in state["deployment"].items() if key != "pending_operations"}
    return {**state, "deployment": deployment}


def drop_torn_attributes(file: Path) -> None:
    """Remove attribute files that a kill left empty or cut off: Pulumi does without one, but not with a broken one."""
    for attributes in file.parent.glob(f"{file.name}*.attrs"):
        try:
            json.loads(attributes.read_bytes())
        except ValueError:
            attributes.unlink(missing_ok=True)


def mend(file: Path, report: Report) -> bool:
    """Restore a state file that was cut off from the copy Pulumi keeps of the one before; whether that was needed."""
    drop_torn_attributes(file)
    if not file.exists() or _whole(file):
        return False
    backup = file.with_name(file.name + ".bak")
    if not (backup.exists() and _whole(backup)):
        raise Failure(
            f"the state file {file} is damaged and has no good copy beside it",
            "a kill or a full disk cut it off",
            f"restore one from {file.parents[2]}/backups by `pulumi stack import --file`",
        )
    file.rename(file.with_name(file.name + ".damaged"))
    for suffix in ("", ".attrs"):
        source = backup.with_name(backup.name + suffix)
        if source.exists():
            shutil.copy2(source, file.with_name(file.name + suffix))
    report(f"the state file was cut off; restored the one before it (the damaged one is kept as {file.name}.damaged)")
    return True


def _whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes())["checkpoint"], dict)
    except (ValueError, KeyError, TypeError):
        return False


def unknown(inventory: list[Object], state: dict[str, Any]) -> list[Object]:
    """What carries the stack's label and is not in its state, in the order of removal. Volumes hold data: never."""
    known = halfmade.known_ids(state)
    left = [item for item in inventory if item.kind != VOLUME and item.id not in known]
    return sorted(left, key=lambda item: ORDER.index(item.kind))


def sweep(inventory: list[Object], state: dict[str, Any], client: Any, report: Report) -> None:
    """Remove what is unknown to the state."""
    left = unknown(inventory, state)
    if left and not halfmade.known_ids(state):
        raise _foreign(left)
    for item in left:
        if objects.remove(client, item):
            report(f"removed an orphaned {item.kind}: {item.name}")


def refuse_foreign(stack: str) -> None:
    """A stack without state owns nothing: what carries its name belongs to another clone, or its state was lost."""
    with objects.connect() as client:
        found = [item for item in objects.inventory(client, stack) if item.kind != VOLUME]
    if found:
        raise _foreign(found)


def _foreign(found: list[Object]) -> Failure:
    return Failure(
        "an environment of this name runs already, and this clone's state does not know it",
        "found: " + ", ".join(f"{item.kind} {item.name}" for item in found[:6]) + (", ..." if len(found) > 6 else ""),
        "use the clone that made it, choose another stack name, or remove it with its data: `./nexus down STACK`",
        BAD_INPUT,
    )
