"""The healer: restarts the stack's containers that are unhealthy, which a Docker engine does not do by itself."""

from __future__ import annotations

import pulumi
from pydantic import BaseModel, ConfigDict

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Running, ServerArgs, WorkloadArgs, WorkloadSpec


class HealerSpec(BaseModel):
    """How the healer runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "healer"


class Healer(pulumi.ComponentResource):
    """The healer of one stack, for the engine of containers; a swarm replaces unhealthy tasks itself."""

    running: Running

    def __init__(
        self, name: str, spec: HealerSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Healer", name, None, opts)
        self.running = args.engine.run(
            name,
            workload(spec),
            WorkloadArgs(image=args.image, network=args.network),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def workload(spec: HealerSpec) -> WorkloadSpec:
    """The healer as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        kind="helper",
        contract=spec.contract,
        command=spec.contract.command,
        env={"NEXUS_STACK": spec.stack, "NEXUS_SERVICE": spec.name},
        memory_mib=minimum_memory("healer"),
    )
