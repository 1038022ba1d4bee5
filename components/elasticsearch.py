"""Elasticsearch: one node that keeps and searches the logs."""

from __future__ import annotations

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._health import SLOW_STARTER
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

#: Of the limit, for Java's heap; the rest is for the virtual machine itself, 130 MiB, and the files' cache
#: (Elasticsearch, Heap size: at most half).
HEAP_SHARE = 0.4
#: For a small heap on few cores: the collector and the compiler that need the least memory and time. A start takes
#: 1.9 s of CPU with the quick compiler alone, 4.0 s with both (measured, classes archived in the image).
JAVA = "-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
#: What is free on the disk when new shards, then all writes, are refused. The defaults are shares of the disk (15 %,
#: 5 %), with which a large and well filled one takes no logs.
WATERMARKS = {"low": "2gb", "high": "1gb", "flood_stage": "512mb"}


class ElasticsearchSpec(BaseModel):
    """How Elasticsearch runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "elasticsearch"
    memory_mib: int = Field(ge=minimum_memory("elasticsearch"))
    cpus: float = 0
    port: Port


class Elasticsearch(pulumi.ComponentResource):
    """The server. ``address`` is its URL on the platform's network, ``url`` the one on the host."""

    address: str
    url: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: ElasticsearchSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Elasticsearch", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network), child
        )
        self.address = f"http://{spec.name}:{spec.contract.ports['http']}"
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def settings(spec: ElasticsearchSpec) -> dict[str, str]:
    """Environment names with a dot are settings of the server."""
    heap = int(spec.memory_mib * HEAP_SHARE)
    return {
        "cluster.name": f"nexus-{spec.stack}",
        "node.name": spec.name,
        "ES_JAVA_OPTS": f"-Xms{heap}m -Xmx{heap}m {JAVA}",
        # Counted by what is reserved: this collector lets garbage lie, which the other way would be taken for use.
        "indices.breaker.total.use_real_memory": "false",
        **{f"cluster.routing.allocation.disk.watermark.{name}": free for name, free in WATERMARKS.items()},
    }


def workload(spec: ElasticsearchSpec) -> WorkloadSpec:
    """Elasticsearch as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=spec.contract.command,
        env=settings(spec),
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready_timeout=300,
        check_interval=SLOW_STARTER,
    )
