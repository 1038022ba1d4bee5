"""What a killed run may have made without recording it: by resource type, how to find it and how to remove it.

Types that are not in the tables need nothing: their creation can be repeated (a Docker volume, its files, a Consul
entry), or they have no object outside the state (components, secrets).
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops import objects
from ops.credentials import opened
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
#: Objects that Kong knows by a name: collection and the input that is the name. A name that is taken is refused.
KONG_NAMED = {
    "kong:index/service:Service": ("services", "name"),
    "kong:index/route:Route": ("routes", "name"),
    "kong:index/upstream:Upstream": ("upstreams", "name"),
    "kong:index/consumer:Consumer": ("consumers", "username"),
}
#: Kong plugins and targets have no name: they are found by what they belong to.
KONG_TARGET, KONG_PLUGIN = "kong:index/target:Target", "kong:index/plugin:Plugin"
OWNERS = {"serviceId": "service", "routeId": "route", "consumerId": "consumer"}
TIMEOUT = 5.0


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
    elif operation.type.startswith("kong:"):
        provider = opened(provider_inputs(state, operation.provider))
        uri, password = provider.get("kongAdminUri"), provider.get("kongAdminPassword")
        if isinstance(uri, str):
            auth = (str(provider.get("kongAdminUsername")), str(password)) if password else None
            _kong(uri.rstrip("/"), auth, operation, known, report)


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


def _kong(uri: str, auth: tuple[str, str] | None, operation: Pending, known: set[str], report: Report) -> None:
    import httpx

    try:
        with httpx.Client(base_url=uri, auth=auth, timeout=TIMEOUT, trust_env=False) as kong:
            for path, identity in kong_candidates(kong, operation):
                if not known & {identity, path.rpartition("/")[2]} and kong.delete(path).status_code == 204:
                    report(f"removed a half-made object of the gateway: {path}")
    except httpx.HTTPError as error:
        report(f"the gateway could not be asked for half-made objects ({error}); a conflict would be reported by it")


def kong_candidates(kong: Any, operation: Pending) -> list[tuple[str, str]]:
    """(path, id) of what an unfinished creation may have made."""
    inputs = operation.inputs
    if operation.type in KONG_NAMED:
        collection, key = KONG_NAMED[operation.type]
        path = f"/{collection}/{urllib.parse.quote(str(inputs.get(key, '')), safe='')}"
        answer = kong.get(path) if inputs.get(key) else None
        return [(path, answer.json()["id"])] if answer is not None and answer.status_code == 200 else []
    if operation.type == KONG_TARGET:
        path = f"/upstreams/{inputs.get('upstreamId')}/targets"
        answer = kong.get(path)
        targets = answer.json().get("data", []) if answer.status_code == 200 else []
        return [(f"{path}/{t['id']}", t["id"]) for t in targets if t["target"] == inputs.get("target")]
    if operation.type == KONG_PLUGIN:
        answer = kong.get("/plugins", params={"size": 1000})
        plugins = answer.json().get("data", []) if answer.status_code == 200 else []
        return [(f"/plugins/{p['id']}", p["id"]) for p in plugins if _same_plugin(p, inputs)]
    return []


def _same_plugin(plugin: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Kong allows one plugin of a name for each combination of owners, so these identify it."""
    if plugin["name"] != inputs.get("name"):
        return False
    return all((plugin.get(field) or {}).get("id") == inputs.get(key) for key, field in OWNERS.items())
