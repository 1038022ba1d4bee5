"""Consul: where services find each other. Nothing is told or changed without a token."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components._resources import GeneratedSecret
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

#: The default of 5 is for small machines and makes the first election take 7 s; 1 is advised for production
#: (Consul, Server Performance).
RAFT_MULTIPLIER = 1
#: How long a metric is kept between two scrapes: twice the longest usual interval (Consul, Telemetry).
METRICS_RETENTION = "120s"
HERE = Path(__file__).parent
CONFIG, GATE = "consul.json", "consul_gate.sh"
#: curl's options and body by which the gate shows the token: a secret in an argv could be read by all on the host.
REQUEST, BOOTSTRAP = "request", "bootstrap"


class ConsulSpec(BaseModel):
    """How Consul runs; known at plan time. A higher ``generation`` rotates the management token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "consul"
    memory_mib: int = Field(ge=minimum_memory("consul"))
    port: Port
    generation: int = Field(default=0, ge=0)

    @property
    def internal(self) -> str:
        """``host:port`` on the platform's network."""
        return f"{self.name}:{self.contract.ports['http']}"


class Consul(pulumi.ComponentResource):
    """One server. ``address`` (``host:port`` on the host) and ``token``, which may do everything, are known once it
    leads and knows the token; ``internal`` is where others on the platform's network reach it.
    """

    address: pulumi.Output[str]
    token: pulumi.Output[str]
    internal: str
    running: Running

    def __init__(
        self, name: str, spec: ConsulSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Consul", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        keepers = {"generation": str(spec.generation)} if spec.generation else None
        token = GeneratedSecret(f"{name}-management-token", keepers=keepers, opts=child).value
        files = {
            CONFIG: token.apply(configuration),
            REQUEST: token.apply(lambda known: f'header = "X-Consul-Token: {known}"\n'),
            BOOTSTRAP: token.apply(lambda known: json.dumps({"BootstrapSecret": known})),
            GATE: (HERE / GATE).read_text(),
        }
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=files), child
        )
        self.internal = spec.internal
        self.address = self.running.ready.after(f"{reachable(spec.port.bind)}:{spec.port.host}")
        self.token = pulumi.Output.secret(self.running.ready.after(token))
        self.register_outputs({"address": self.address})


def configuration(token: str) -> str:
    """``consul.json``. Anonymous requests may do nothing, and DNS, which has no tokens, does not run.

    The token is the agent's own as well: on a server it adds nothing to what the agent can do.
    """
    return json.dumps(
        {
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": token, "agent": token},
            },
            "performance": {"raft_multiplier": RAFT_MULTIPLIER},
            "ports": {"dns": -1},
            "telemetry": {"prometheus_retention_time": METRICS_RETENTION, "disable_hostname": True},
        },
        indent=1,
    )


def workload(spec: ConsulSpec) -> WorkloadSpec:
    """The server as a workload. It is ready once it knows its token, also one that was made anew."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=(
            "agent",
            "-server",
            "-ui",
            "-bootstrap-expect=1",
            f"-node={spec.name}",
            f"-config-file={spec.contract.secret(CONFIG)}",
            "-client=0.0.0.0",
            '-bind={{ GetInterfaceIP "eth0" }}',
        ),
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        ready=("sh", spec.contract.secret(GATE)),
    )
