"""Prometheus: the metrics of what Consul lists, kept for a time and up to a size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

CONFIGURATION, TOKEN = "prometheus.yml", "consul-token"
#: Another job or rule is no reason to restart: the server reads its files again, and refuses wrong ones.
RELOAD = "wget -q -T 4 -O /dev/null --post-data= http://127.0.0.1:{port}/-/reload"
#: Go's soft limit: the collector works harder near it instead of the kernel ending the process (runtime, GOMEMLIMIT).
SOFT_LIMIT_SHARE = 0.85
#: Listed in Consul, but without metrics at their registered port.
WITHOUT_METRICS = "consul|consul-esm"


class PrometheusSpec(BaseModel):
    """How Prometheus runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "prometheus"
    memory_mib: int = Field(ge=minimum_memory("prometheus"))
    cpus: float = 0
    port: Port
    retention_days: int = Field(default=15, ge=1, description="samples older than this are removed")
    retention_mib: int = Field(default=2048, ge=256, description="the oldest go when all together are larger")
    scrape_seconds: int = Field(default=15, ge=5, le=60)
    consul: str = Field(default="", description="host:port; its services are scraped at /metrics")
    alertmanager: str = Field(default="", description="host:port")
    targets: Mapping[str, str] = Field(default_factory=dict, description="further jobs: name to host:port")
    rules: Mapping[str, str] = Field(default_factory=dict, description="rule files by name")


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs(ServerArgs):
    """What the server is made from; ``consul_token`` where Consul asks for one."""

    consul_token: pulumi.Input[str] | None = None


class Prometheus(pulumi.ComponentResource):
    """The server. ``address`` is where it is asked on the platform's network, ``url`` where on the host."""

    address: str
    url: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: PrometheusSpec, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Prometheus", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files: dict[str, pulumi.Input[str]] = {CONFIGURATION: configuration(spec, token=args.consul_token is not None)}
        files |= {f"rules/{rule}": text for rule, text in spec.rules.items()}
        if args.consul_token is not None:
            files[TOKEN] = args.consul_token
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=files), child
        )
        self.address = f"{spec.name}:{spec.contract.ports['http']}"
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def configuration(spec: PrometheusSpec, *, token: bool) -> str:
    """``prometheus.yml``, as JSON, which is YAML too."""
    fixed = {spec.name: f"localhost:{spec.contract.ports['http']}", **spec.targets}
    if spec.alertmanager:
        fixed["alertmanager"] = spec.alertmanager
    jobs: list[Any] = [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in sorted(fixed.items())]
    if spec.consul:
        jobs.append(_services(spec, token=token))
    document: dict[str, Any] = {
        "global": {
            "scrape_interval": f"{spec.scrape_seconds}s",
            "evaluation_interval": f"{spec.scrape_seconds}s",
            "external_labels": {"stack": spec.stack},
        },
        "rule_files": [spec.contract.secret("rules/*.yml")],
        "scrape_configs": jobs,
    }
    if spec.alertmanager:
        document["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [spec.alertmanager]}]}]}
    return json.dumps(document, indent=1)


def _services(spec: PrometheusSpec, *, token: bool) -> dict[str, Any]:
    """What is listed in Consul: the service's name becomes its job, the instance keeps its id."""
    source: dict[str, Any] = {"server": spec.consul}
    if token:
        source["authorization"] = {"credentials_file": spec.contract.secret(TOKEN)}
    name = "__meta_consul_service"
    return {
        "job_name": "services",
        "consul_sd_configs": [source],
        "relabel_configs": [
            {"source_labels": [name], "regex": WITHOUT_METRICS, "action": "drop"},
            {"source_labels": [name], "target_label": "job"},
            {"source_labels": ["__meta_consul_service_id"], "target_label": "instance"},
        ],
    }


def workload(spec: PrometheusSpec) -> WorkloadSpec:
    """Prometheus as a workload."""
    reload = RELOAD.format(port=spec.contract.ports["http"])
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=(
            f"--config.file={spec.contract.secret(CONFIGURATION)}",
            f"--storage.tsdb.path={spec.contract.data}",
            f"--storage.tsdb.retention.time={spec.retention_days}d",
            f"--storage.tsdb.retention.size={spec.retention_mib}MB",
            "--web.enable-lifecycle",
        ),
        env={"GOMEMLIMIT": f"{int(spec.memory_mib * SOFT_LIMIT_SHARE)}MiB"},
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("sh", "-c", reload),
        live=(CONFIGURATION, TOKEN, *(f"rules/{rule}" for rule in spec.rules)),
    )
