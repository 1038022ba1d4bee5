"""What a killed run may have made without recording it: by resource type, how to find it and how to remove it.

Types that are in no table need nothing: their creation can be repeated (a Docker volume, its files, a service in
Consul, a role in Vault), or they have no object outside the state (components, secrets).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops import halfmade_entries, objects
from ops.credentials import opened
from ops.halfmade_entries import Entry
from ops.objects import CONTAINER, NETWORK, SECRET, SERVICE_KIND, Object, remove

if TYPE_CHECKING:
    from docker import DockerClient

Report = Callable[[str], None]
#: Docker objects with a name of their own. The engine allows several networks of one name, so all are looked at.
DOCKER = {
    "docker:index/container:Container": CONTAINER,
    "docker:index/network:Network": NETWORK,
    "docker:index/secret:Secret": SECRET,
    "docker:index/service:Service": SERVICE_KIND,
}


@dataclass(frozen=True)
class Pending:
    """An operation that had begun when the run was killed."""

    op: str
    type: str
    urn: str
    inputs: Mapping[str, Any]
    provider: str


def pending(state: Mapping[str, Any]) -> list[Pending]:
    """The unfinished operations of an exported state."""
    found = []
    for item in (state.get("deployment") or {}).get("pending_operations") or []:
        resource = item["resource"]
        found.append(
            Pending(
                item["type"],
                resource["type"],
                resource["urn"],
                resource.get("inputs") or {},
                resource.get("provider", ""),
            )
        )
    return found


def known_ids(state: Mapping[str, Any]) -> set[str]:
    """The physical ids that the state has."""
    resources = (state.get("deployment") or {}).get("resources") or []
    return {resource["id"] for resource in resources if resource.get("id")}


def provider_inputs(state: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    """The inputs of the provider that ``urn::id`` names; empty when it is not in the state."""
    urn = reference.rpartition("::")[0]
    resources = (state.get("deployment") or {}).get("resources") or []
    return next((r.get("inputs") or {} for r in resources if r["urn"] == urn), {})


def clean(operation: Pending, state: Mapping[str, Any], client: DockerClient, report: Report) -> None:
    """Remove the object of one unfinished creation, unless the state has it."""
    if operation.op != "creating":
        return  # of updates and deletions the state knows the object: the refresh looks at it
    known = known_ids(state)
    if operation.type in DOCKER:
        for item in _docker(operation, client):
            if item.id not in known and remove(client, item):
                report(f"removed a half-made {item.kind}: {item.name}")
    elif operation.type in halfmade_entries.TYPES:
        provider = opened(provider_inputs(state, operation.provider))
        resources = (state.get("deployment") or {}).get("resources") or []
        entry = Entry(operation.type, opened(dict(operation.inputs)), [r for r in resources if r.get("id")])
        halfmade_entries.clean(entry, provider, report)


def _docker(operation: Pending, client: DockerClient) -> list[Object]:
    name = operation.inputs.get("name")
    if not isinstance(name, str):
        return []
    kind = DOCKER[operation.type]
    if kind == CONTAINER:
        listed = client.api.containers(all=True, filters={"name": f"^/{name}$"})
        return [Object(kind, item["Id"], name, "") for item in listed]
    if kind == NETWORK:
        listed = client.api.networks(names=[name])
        return [Object(kind, item["Id"], name, "") for item in listed if item["Name"] == name]
    listed = objects.swarm_list(client, f"{kind}s", {"name": name})
    return [Object(kind, item["ID"], name, "") for item in listed if item["Spec"]["Name"] == name]
