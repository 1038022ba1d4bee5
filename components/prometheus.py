"""Prometheus: the metrics of every instance of every service, kept for a time and up to a size.

Its targets are those that were declared and not those that Consul finds well: a dead one is seen as down instead of
being forgotten. (Debian's Prometheus has no part that asks Consul, either.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

CONFIGURATION = "prometheus.yml"
#: Another job or rule is no reason to restart: the server reads its files again, and refuses wrong ones.
RELOAD = "timeout 10 wget -q -O /dev/null --post-data= http://127.0.0.1:{port}/-/reload"
#: Go's soft limit: the collector works harder near it instead of the kernel ending the process (runtime, GOMEMLIMIT).
SOFT_LIMIT_SHARE = 0.85


class Target(BaseModel):
    """Metrics of a server: ``host:port``, and how they are asked for. An ``authorized`` one is shown a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    path: str = Field(default="/metrics", pattern="^/")
    params: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    authorized: bool = False


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
    services: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="the instances of each, host:port"
    )
    tasks: bool = Field(default=False, description="a service has one name, behind which its instances are looked up")
    alertmanager: str = Field(default="", description="host:port")
    targets: Mapping[str, Target] = Field(default_factory=dict, description="further jobs by name")
    rules: Mapping[str, str] = Field(default_factory=dict, description="rule files by name")


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs(ServerArgs):
    """What Prometheus is made from. ``tokens`` are what it shows the jobs whose targets ask for one."""

    tokens: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


class Prometheus(pulumi.ComponentResource):
    """The server. ``address`` is where it is asked on the platform's network, ``url`` where on the host.

    ``jobs`` are the names of all that it scrapes.
    """

    address: str
    jobs: frozenset[str]
    url: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: PrometheusSpec, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Prometheus", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files: dict[str, pulumi.Input[str]] = {CONFIGURATION: configuration(spec)}
        files |= {f"rules/{rule}": text for rule, text in spec.rules.items()}
        files |= {token_file(job): args.tokens[job] for job, target in spec.targets.items() if target.authorized}
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=files), child
        )
        self.address = f"{spec.name}:{spec.contract.ports['http']}"
        self.jobs = jobs(spec)
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def configuration(spec: PrometheusSpec) -> str:
    """``prometheus.yml``, as JSON, which is YAML too."""
    fixed = {spec.name: Target(address=f"localhost:{spec.contract.ports['http']}"), **spec.targets}
    if spec.alertmanager:
        fixed["alertmanager"] = Target(address=spec.alertmanager)
    jobs = [_server(spec.contract, job, target) for job, target in sorted(fixed.items())]
    jobs += [_service(job, instances, tasks=spec.tasks) for job, instances in sorted(spec.services.items())]
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


def token_file(job: str) -> str:
    """The file that a job's token is in; it is read at each scrape."""
    return f"tokens/{job}"


def _server(contract: Contract, job: str, target: Target) -> dict[str, Any]:
    return {
        "job_name": job,
        "static_configs": [{"targets": [target.address]}],
        **({"metrics_path": target.path} if target.path != "/metrics" else {}),
        **({"params": {key: list(values) for key, values in target.params.items()}} if target.params else {}),
        **({"authorization": {"credentials_file": contract.secret(token_file(job))}} if target.authorized else {}),
    }


def _service(job: str, instances: tuple[str, ...], *, tasks: bool) -> dict[str, Any]:
    """A job per service. Of a Swarm service, DNS knows the address of each task under a name of its own."""
    if not tasks:
        return {"job_name": job, "static_configs": [{"targets": list(instances)}]}
    (host, _, port) = instances[0].rpartition(":")
    return {
        "job_name": job,
        "dns_sd_configs": [{"names": [f"tasks.{host}"], "type": "A", "port": int(port), "refresh_interval": "15s"}],
    }


def jobs(spec: PrometheusSpec) -> frozenset[str]:
    """The names of the jobs: services, servers, and itself."""
    return frozenset((spec.name, *spec.targets, *spec.services, *(["alertmanager"] if spec.alertmanager else [])))


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
        live=(
            CONFIGURATION,
            *(f"rules/{rule}" for rule in spec.rules),
            *(token_file(job) for job, target in spec.targets.items() if target.authorized),
        ),
    )
