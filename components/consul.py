"""Consul: where services find each other. Nothing is told or changed without a token; a monitor beside it runs the
checks of what is registered.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components import _consul_rules as rules
from components._contract import Contract
from components._limits import minimum_memory
from components._resources import GeneratedSecret
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

MONITOR_MEMORY_MIB = 48
MONITOR = "consul-esm"
#: The default of 5 is for small machines and makes the first election take 7 s; 1 is advised for production
#: (Consul, Server Performance).
RAFT_MULTIPLIER = 1
#: How long a metric is kept between two scrapes: twice the longest usual interval (Consul, Telemetry).
METRICS_RETENTION = "120s"
#: What the monitor answers its health check by: its metrics, which it serves for as long as it keeps them.
MONITOR_CONFIG = "consul-esm.hcl"
MONITOR_SETTINGS = f"""\
client_address = "127.0.0.1:8080"
telemetry {{
  prometheus_retention_time = "{METRICS_RETENTION}"
}}
"""
HERE = Path(__file__).parent
CONFIG, GATE = "consul.json", "consul_gate.sh"
#: curl's options and body by which the gate shows the token: a secret in an argv could be read by all on the host.
REQUEST, BOOTSTRAP = "request", "bootstrap"
TOKEN = "consul-token"  # noqa: S105  the file's name


class ConsulSpec(BaseModel):
    """How Consul runs; known at plan time.

    ``grants`` are tokens for others than services, by name, with what their holders may do. A higher ``generation``
    rotates these and the management token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "consul"
    memory_mib: int = Field(ge=minimum_memory("consul"))
    cpus: float = Field(default=0, ge=0)
    port: Port
    grants: Mapping[str, str] = Field(default_factory=dict)
    generation: int = Field(default=0, ge=0)
    monitor: Contract
    monitor_stand_in: bool = False

    @property
    def internal(self) -> str:
        """``host:port`` on the platform's network."""
        return f"{self.name}:{self.contract.ports['http']}"

    @property
    def granted(self) -> dict[str, str]:
        """All grants: the monitor's and those asked for."""
        return {MONITOR: rules.MONITOR, **self.grants}


@dataclass(frozen=True, kw_only=True)
class ConsulArgs(ServerArgs):
    """What Consul and its monitor are made from."""

    monitor_image: pulumi.Input[str]


class Consul(pulumi.ComponentResource):
    """One server and the external monitor.

    ``address`` (``host:port`` on the host) and ``token``, which may do everything, are known once it leads and knows
    all tokens; ``tokens`` has those of the grants, ``internal`` is where others on the platform's network reach it.
    """

    address: pulumi.Output[str]
    token: pulumi.Output[str]
    tokens: dict[str, pulumi.Output[str]]
    internal: str
    running: Running

    def __init__(
        self, name: str, spec: ConsulSpec, args: ConsulArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Consul", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        keepers = {"generation": str(spec.generation)} if spec.generation else None
        made = {
            holder: GeneratedSecret(f"{name}-{holder}-token", keepers=keepers, opts=child).value.apply(token_of)
            for holder in ("management", *spec.granted)
        }
        management = made.pop("management")
        self.tokens = made
        self.running = args.engine.run(
            name,
            workload(spec),
            WorkloadArgs(image=args.image, network=args.network, files=files(spec, management, made)),
            child,
        )
        self.internal = spec.internal
        self.address = self.running.ready.after(f"{reachable(spec.port.bind)}:{spec.port.host}")
        self.token = self.running.ready.after(management)
        known = self.running.ready.after(args.monitor_image)  # it has nothing to do before Consul knows its token
        args.engine.run(
            MONITOR,
            monitor(spec),
            WorkloadArgs(
                image=known, network=args.network, files={TOKEN: made[MONITOR], MONITOR_CONFIG: MONITOR_SETTINGS}
            ),
            child,
        )
        self.register_outputs({"address": self.address})


def token_of(secret: str) -> str:
    """Consul wants its tokens as UUIDs."""
    return str(uuid.UUID(hashlib.sha256(secret.encode()).hexdigest()[:32]))


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


def of_management(token: str) -> dict[str, str]:
    """The files of the management token: the server's configuration, and how the gate shows and sets it."""
    return {
        CONFIG: configuration(token),
        REQUEST: f'header = "X-Consul-Token: {token}"\n',
        BOOTSTRAP: json.dumps({"BootstrapSecret": token}),
    }


def of_grant(name: str, allowed: str, token: str) -> dict[str, str]:
    """The files of a grant: bodies of the requests that make its policy, and its token, called by the same name."""
    accessor = token_of(f"accessor of {token}")
    asked = {"AccessorID": accessor, "SecretID": token, "Description": name, "Policies": [{"Name": name}]}
    return {
        f"{name}.policy": json.dumps({"Name": name, "Rules": allowed}),
        f"{name}.token": json.dumps(asked, separators=(",", ":")),
    }


def files(
    spec: ConsulSpec, management: pulumi.Output[str], tokens: Mapping[str, pulumi.Output[str]]
) -> dict[str, pulumi.Input[str]]:
    """All files of the server. Those of grants are read by the gate alone, so that a new one restarts nothing."""
    made: dict[str, pulumi.Input[str]] = {GATE: (HERE / GATE).read_text()}
    for file in of_management(""):
        made[file] = management.apply(lambda token, file=file: of_management(token)[file])
    for name, allowed in spec.granted.items():
        for file in of_grant(name, allowed, ""):
            made[file] = tokens[name].apply(
                lambda token, name=name, allowed=allowed, file=file: of_grant(name, allowed, token)[file]
            )
    return made


def workload(spec: ConsulSpec) -> WorkloadSpec:
    """The server as a workload. It is ready once it knows its tokens, also those that were made anew."""
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
        cpus=spec.cpus,
        ready=("sh", spec.contract.secret(GATE)),
        live=tuple(file for name in spec.granted for file in of_grant(name, "", "")),
    )


def monitor(spec: ConsulSpec) -> WorkloadSpec:
    """The monitor as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=MONITOR,
        kind="helper",
        stand_in=spec.monitor_stand_in,
        contract=spec.monitor,
        command=(*spec.monitor.command, f"-config-file={spec.monitor.secret(MONITOR_CONFIG)}"),
        env={
            "CONSUL_HTTP_ADDR": f"http://{spec.internal}",
            "CONSUL_HTTP_TOKEN_FILE": spec.monitor.secret(TOKEN),
        },
        memory_mib=MONITOR_MEMORY_MIB,
    )
