"""Consul: where services find each other. A monitor beside it runs the checks of what is registered."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

MONITOR_MEMORY_MIB = 48
#: The default of 5 is for small machines and makes the first election take 7 s; 1 is advised for production
#: (Consul, Server Performance).
RAFT_MULTIPLIER = 1


class ConsulSpec(BaseModel):
    """How Consul runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "consul"
    memory_mib: int = Field(ge=minimum_memory("consul"))
    port: Port
    monitor: Contract
    monitor_stand_in: bool = False


@dataclass(frozen=True, kw_only=True)
class ConsulArgs(ServerArgs):
    """What Consul and its monitor are made from."""

    monitor_image: pulumi.Input[str]


class Consul(pulumi.ComponentResource):
    """One server and the external monitor. Output: ``address`` (``host:port``), known once there is a leader."""

    address: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: ConsulSpec, args: ConsulArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Consul", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network), child
        )
        self.address = self.running.ready.after(f"{reachable(spec.port.bind)}:{spec.port.host}")
        args.engine.run(
            f"{name}-esm", monitor(spec), WorkloadArgs(image=args.monitor_image, network=args.network), child
        )
        self.register_outputs({"address": self.address})


def workload(spec: ConsulSpec) -> WorkloadSpec:
    """The server as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=(
            "agent",
            "-server",
            "-ui",
            "-bootstrap-expect=1",
            f"-hcl=performance {{ raft_multiplier = {RAFT_MULTIPLIER} }}",
            f"-node={spec.name}",
            f"-data-dir={spec.contract.data}",
            "-client=0.0.0.0",
            '-bind={{ GetInterfaceIP "eth0" }}',
        ),
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
    )


def monitor(spec: ConsulSpec) -> WorkloadSpec:
    """The monitor as a workload; it waits for Consul by itself."""
    return WorkloadSpec(
        stack=spec.stack,
        name=f"{spec.name}-esm",
        kind="helper",
        stand_in=spec.monitor_stand_in,
        contract=spec.monitor,
        env={"CONSUL_HTTP_ADDR": f"http://{spec.name}:{spec.contract.ports['http']}"},
        memory_mib=MONITOR_MEMORY_MIB,
    )
