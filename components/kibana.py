"""Kibana: where the logs are searched. What it keeps is in Elasticsearch."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

#: Of the limit, for the original's JavaScript heap.
HEAP_SHARE = 0.6
#: The logs can be searched from the first visit on; made again, it stays the same.
INDEX_PATTERN = {"override": True, "index_pattern": {"id": "logs", "title": "logs-*", "timeFieldName": "@timestamp"}}


class KibanaSpec(BaseModel):
    """How Kibana runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "kibana"
    stand_in: bool = False
    memory_mib: int = Field(ge=minimum_memory("kibana"))
    cpus: float = 0
    port: Port


@dataclass(frozen=True, kw_only=True)
class KibanaArgs(ServerArgs):
    """What the server is made from; ``elasticsearch`` is a URL."""

    elasticsearch: str


class Kibana(pulumi.ComponentResource):
    """The server. ``url`` is where it is on the host."""

    url: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: KibanaSpec, args: KibanaArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Kibana", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.running = args.engine.run(
            name,
            workload(spec, args.elasticsearch),
            WorkloadArgs(image=args.image, network=args.network, ready_input=json.dumps(INDEX_PATTERN)),
            child,
        )
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def workload(spec: KibanaSpec, elasticsearch: str) -> WorkloadSpec:
    """Kibana as a workload; it waits for Elasticsearch by itself."""
    local = f"http://127.0.0.1:{spec.contract.ports['http']}"
    pattern = f"{local}/api/index_patterns/index_pattern"
    headers = "-H 'kbn-xsrf: nexus' -H 'Content-Type: application/json'"
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        stand_in=spec.stand_in,
        contract=spec.contract,
        command=spec.contract.command,
        env={
            "ELASTICSEARCH_HOSTS": elasticsearch,
            "NEWSFEED_ENABLED": "false",
            "NODE_OPTIONS": f"--max-old-space-size={int(spec.memory_mib * HEAP_SHARE)}",
            "SERVER_HOST": "0.0.0.0",  # noqa: S104  in the container
            "SERVER_NAME": f"nexus-{spec.stack}",
            "SERVER_PUBLICBASEURL": f"http://{reachable(spec.port.bind)}:{spec.port.host}",
            "TELEMETRY_OPTIN": "false",
        },
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("sh", "-c", f"curl -fsS -m 20 -o /dev/null {headers} --data-binary @- {pattern}"),
        ready_timeout=300,
    )
