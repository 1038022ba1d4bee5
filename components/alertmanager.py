"""Alertmanager: takes Prometheus' alerts, groups them, silences what is known, and tells who is to know."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

CONFIGURATION = "alertmanager.yml"
RELOAD = "timeout 10 wget -q -O /dev/null --post-data= http://127.0.0.1:{port}/-/reload"
#: Who is told where nobody is named: the alerts are kept and shown all the same.
NOBODY = "nobody"


class AlertmanagerSpec(BaseModel):
    """How Alertmanager runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "alertmanager"
    memory_mib: int = Field(ge=minimum_memory("alertmanager"))
    cpus: float = 0
    port: Port
    retention_hours: int = Field(default=120, ge=1, description="how long silences and sent notifications are known")
    webhook: str = Field(default="", description="a URL that is told of every group of alerts")


class Alertmanager(pulumi.ComponentResource):
    """The server. ``address`` is where alerts are sent on the platform's network, ``url`` where it is on the host."""

    address: str
    url: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: AlertmanagerSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Alertmanager", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files = {CONFIGURATION: configuration(spec)}
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=files), child
        )
        self.address = f"{spec.name}:{spec.contract.ports['http']}"
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def configuration(spec: AlertmanagerSpec) -> str:
    """``alertmanager.yml``, as JSON: alerts of one name and service make one message; a critical one hides warnings."""
    receiver: dict[str, Any] = {"name": "webhook" if spec.webhook else NOBODY}
    if spec.webhook:
        receiver["webhook_configs"] = [{"url": spec.webhook, "send_resolved": True}]
    document = {
        "route": {
            "receiver": receiver["name"],
            "group_by": ["alertname", "job"],
            "group_wait": "10s",
            "group_interval": "1m",
            "repeat_interval": "4h",
        },
        "receivers": [receiver],
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["alertname", "job", "instance"],
            }
        ],
    }
    return json.dumps(document, indent=1)


def workload(spec: AlertmanagerSpec) -> WorkloadSpec:
    """Alertmanager as a workload; alone, so without the port by which several would find each other."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=(
            f"--config.file={spec.contract.secret(CONFIGURATION)}",
            f"--storage.path={spec.contract.data}",
            f"--data.retention={spec.retention_hours}h",
            "--cluster.listen-address=",
        ),
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("sh", "-c", RELOAD.format(port=spec.contract.ports["http"])),
        live=(CONFIGURATION,),
    )
