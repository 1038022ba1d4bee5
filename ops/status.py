"""`nexus status`: every service as the engine, Consul and the gateway see it. Needs neither Pulumi nor its state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from components._labels import KIND, SERVICE, STAND_IN
from ops import console, endpoints, inputs, objects, status_table, swarm, witnesses
from ops.errors import UNHEALTHY
from ops.inputs import Inputs

if TYPE_CHECKING:
    from docker import DockerClient

    from infra.catalog import Service

HEALTHY, UNHEALTHY_STATE, MISSING, STARTING, NONE = "healthy", "unhealthy", "missing", "starting", "none"


@dataclass(frozen=True)
class Row:
    """One service, as in ``docs/schemas/status.schema.json``."""

    name: str
    group: str
    state: str
    health: str
    endpoints: dict[str, str]
    image: str
    stand_in: bool
    since: str | None
    instances: int = 1
    discovery: str | None = None
    gateway: str | None = None

    @property
    def well(self) -> bool:
        """Whether all who can say agree that it is."""
        return (
            self.health == HEALTHY
            and witnesses.agrees(self.discovery, witnesses.PASSING)
            and witnesses.agrees(self.gateway, witnesses.HEALTHY)
        )


def collect(chosen: Inputs) -> list[Row]:
    """A row for every enabled service, in the catalogue's order."""
    with objects.connect() as client:
        return look(chosen, client)


def look(chosen: Inputs, client: DockerClient) -> list[Row]:
    """The same, by a client that is there already."""
    found = objects.inspect(client, chosen.stack)
    return with_witnesses(chosen, client, found, seen(chosen, client, found))


def seen(chosen: Inputs, client: DockerClient, found: list[dict[str, Any]]) -> list[Row]:
    """What the engine alone says; ``found`` are its containers (``objects.inspect``)."""
    if chosen.settings.engine == "swarm":
        rows = of_swarm(chosen, client, found)
    else:
        with ThreadPoolExecutor(8) as pool:
            rows = list(pool.map(lambda entry: of_containers(entry, found, client), chosen.services))
    if not chosen.settings.tls_data:
        return rows
    served = zip(chosen.services, rows, strict=True)
    return [replace(one, endpoints=endpoints.encrypted(entry.kind, one.endpoints)) for entry, one in served]


def of_containers(entry: Service, found: list[dict[str, Any]], client: DockerClient | None) -> Row:
    """One service from all of its containers: as well as the worst of them, and as many as there are."""
    own = [one for one in objects.of_service(found, entry.name) if one["Config"]["Labels"].get(KIND) == "service"]
    if not own:
        return row(entry, None, client)
    rows = [row(entry, one, client) for one in own]
    first = max(rows, key=lambda one: len(one.endpoints))
    worst = next((one for one in rows if one.health != HEALTHY), first)
    short = {"health": UNHEALTHY_STATE} if len(own) < entry.replicas else {}
    return replace(worst, endpoints=first.endpoints, instances=len(own), **short)


def with_witnesses(chosen: Inputs, client: DockerClient, found: list[dict[str, Any]], rows: list[Row]) -> list[Row]:
    """The rows with what Consul and the gateway say, where the environment has them."""
    listed, routed = witnesses.NOBODY, witnesses.NOBODY
    published = [entry.name for entry in chosen.services if entry.kind == "service" and entry.routes]
    there = {one.name: one.endpoints.get("main", "") for one in rows if one.state != MISSING}
    if "consul" in there:
        listed = witnesses.consul(client, running(found, "consul"), there["consul"])
    if "kong" in there:
        routed = witnesses.gateway(client, running(found, "kong"), there["kong"], published)
    return [
        replace(one, discovery=listed.of(one.name), gateway=routed.of(one.name) if one.name in published else None)
        for one in rows
    ]


def running(found: list[dict[str, Any]], service: str) -> str:
    """A running container of a service; empty when there is none."""
    own = (one["Id"] for one in objects.of_service(found, service) if one["State"]["Status"] == "running")
    return next(own, "")


def of_swarm(chosen: Inputs, client: DockerClient, found: list[dict[str, Any]]) -> list[Row]:
    """The same of a stack that is a swarm's: Swarm itself counts who is healthy, on whatever node it runs."""
    services = {one.service: one for one in swarm.services(client, chosen.stack) if one.kind == "service"}
    relays = {one["Config"]["Labels"].get(SERVICE): one for one in found}
    return [swarm_row(one, services.get(one.name), relays.get(f"{one.name}-relay")) for one in chosen.services]


def swarm_row(entry: Service, found: swarm.Running | None, relay: Mapping[str, Any] | None) -> Row:
    """One service from what the swarm says of it; its relay, if any, says where it is reached from this machine."""
    if found is None:
        return row(entry, None, None)
    verdict = HEALTHY if found.healthy else STARTING if found.starting else UNHEALTHY_STATE
    everywhere = {role: port for role, port in entry.ports.items() if port in found.ports}
    public = {role: endpoints.url(entry.kind, role, "localhost", port) for role, port in everywhere.items()}
    return Row(
        name=entry.name,
        group=entry.group,
        state="running" if found.running else "restarting",
        health=verdict,
        endpoints=(endpoints.of(entry, relay) if relay else {}) | public,
        image=found.image,
        stand_in=found.stand_in,
        since=found.since,
        instances=found.running,
    )


def row(entry: Service, container: Mapping[str, Any] | None, client: DockerClient | None) -> Row:
    """One service from the engine's description of its container."""
    if container is None:
        return Row(entry.name, entry.group, MISSING, MISSING, {}, entry.image, False, None)
    state, config = container["State"], container["Config"]
    labels = config.get("Labels") or {}
    return Row(
        name=entry.name,
        group=entry.group,
        state=state["Status"],
        health=health(container, client),
        endpoints=endpoints.of(entry, container),
        image=config["Image"],
        stand_in=labels.get(STAND_IN) == "true",
        since=state.get("StartedAt") if state["Status"] == "running" else None,
    )


def health(container: Mapping[str, Any], client: DockerClient | None) -> str:
    """The engine's verdict; before its first check has come, the answer of the same check asked now."""
    state = container["State"]
    if state["Status"] != "running":
        return UNHEALTHY_STATE
    verdict = (state.get("Health") or {}).get("Status", NONE)
    if verdict == STARTING and client is not None:
        return HEALTHY if asked(container, client) else STARTING
    return verdict


def asked(container: Mapping[str, Any], client: DockerClient) -> bool:
    """Run the container's own health check once."""
    from docker.errors import DockerException

    test = (container["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    command = {"CMD": test[1:], "CMD-SHELL": ["/bin/sh", "-c", *test[1:]]}.get(test[0])
    if not command:
        return False
    with suppress(DockerException):
        identity = client.api.exec_create(container["Id"], command)["Id"]
        client.api.exec_start(identity)
        return client.api.exec_inspect(identity)["ExitCode"] == 0
    return False


def document(stack: str, rows: list[Row]) -> dict[str, Any]:
    """The document of `--json`."""
    return {
        "stack": stack,
        "healthy": sum(one.well for one in rows),
        "total": len(rows),
        "services": [asdict(one) | {"well": one.well} for one in rows],
    }


def table(rows: list[Row], took: Mapping[str, float] | None = None) -> None:
    """Print the table for people; ``took`` is seconds by service, of an update."""
    console.out().print(status_table.table(rows, took))


def run(stack: str, as_json: bool) -> int:
    """Print the status; 5 unless everything is healthy."""
    chosen = inputs.load(stack)
    rows = collect(chosen)
    result = document(stack, rows)
    if as_json:
        console.write(json.dumps(result, indent=2))
    elif absent(rows):
        console.write(f"{stack} is not up: none of its {len(rows)} services exists. `./nexus up {stack}` starts it.")
    else:
        table(rows)
        console.write(f"\n{result['healthy']} of {result['total']} healthy")
    return 0 if result["healthy"] == result["total"] else UNHEALTHY


def absent(rows: Iterable[Row]) -> bool:
    """Whether nothing is there at all."""
    return all(one.state == MISSING for one in rows)
