"""Logstash: takes logs from shippers and by HTTP, keeps them on disk until Elasticsearch has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

PIPELINE = Path(__file__).with_suffix(".conf")
#: Of the limit, for the original's Java heap; JRuby's classes need 250 MiB beside it.
HEAP_SHARE = 0.4
#: Without a file of its own the original logs errors alone.
LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = JSONLayout
appender.console.layout.compact = true
appender.console.layout.eventEol = true
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class LogstashSpec(BaseModel):
    """How Logstash runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "logstash"
    stand_in: bool = False
    memory_mib: int = Field(ge=minimum_memory("logstash"))
    cpus: float = 0
    ports: tuple[Port, ...] = ()
    queue_mib: int = Field(
        default=256, ge=64, description="kept on disk while Elasticsearch is away; then senders wait"
    )


@dataclass(frozen=True, kw_only=True)
class LogstashArgs(ServerArgs):
    """What the server is made from; ``elasticsearch`` is a URL."""

    elasticsearch: str


class Logstash(pulumi.ComponentResource):
    """The server. ``beats`` and ``http`` are where logs are sent on the platform's network."""

    beats: str
    http: str
    running: Running

    def __init__(
        self, name: str, spec: LogstashSpec, args: LogstashArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Logstash", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files = {
            "logstash.yml": configuration(spec),
            "log4j2.properties": LOGGING,
            "pipeline.conf": PIPELINE.read_text(),
            "logs-template.json": template(),
        }
        self.running = args.engine.run(
            name,
            workload(spec, args.elasticsearch),
            WorkloadArgs(image=args.image, network=args.network, files=files),
            child,
        )
        self.beats = f"{spec.name}:{spec.contract.ports['beats']}"
        self.http = f"http://{spec.name}:{spec.contract.ports['http']}"
        self.register_outputs({"beats": self.beats, "http": self.http})


def configuration(spec: LogstashSpec) -> str:
    """``logstash.yml``, as JSON."""
    document = {
        "node.name": spec.name,
        "path.config": spec.contract.secret("pipeline.conf"),
        "path.data": spec.contract.data,
        "http.host": "0.0.0.0",  # noqa: S104  in the container
        "queue.type": "persisted",
        "queue.page_capacity": "16mb",
        "queue.max_bytes": f"{spec.queue_mib}mb",
        "pipeline.workers": 1,
        "xpack.monitoring.enabled": False,
    }
    return json.dumps(document, indent=1)


def template() -> str:
    """The index template of the logs: exact texts but for the message, one shard, written often and compressed."""
    document = {
        "index_patterns": ["logs-*"],
        "priority": 200,
        "template": {
            "settings": {
                "number_of_shards": 1,
                "number_of_replicas": 0,  # one node
                "refresh_interval": "2s",
                "codec": "best_compression",
                "mapping.total_fields.limit": 1000,
            },
            "mappings": {
                "dynamic_templates": [
                    {"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 1024}}}
                ],
                "properties": {"@timestamp": {"type": "date"}, "message": {"type": "text"}},
            },
        },
    }
    return json.dumps(document, indent=1)


def workload(spec: LogstashSpec, elasticsearch: str) -> WorkloadSpec:
    """Logstash as a workload."""
    heap = int(spec.memory_mib * HEAP_SHARE)
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        stand_in=spec.stand_in,
        contract=spec.contract,
        command=("--path.settings", spec.contract.secrets),
        env={"ELASTICSEARCH": elasticsearch, "LS_JAVA_OPTS": f"-Xms{heap}m -Xmx{heap}m"},
        ports=spec.ports,
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready_timeout=300,
    )
