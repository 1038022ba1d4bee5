"""Grafana: dashboards over Prometheus and Elasticsearch, both declared as files."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components._resources import GeneratedSecret
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

ADMIN, PASSWORD = "admin", "admin-password"
DASHBOARDS, DATASOURCES = "provisioning/dashboards/nexus.yaml", "provisioning/datasources/nexus.yaml"
#: All dashboards in one file: alone each would be in the state twice and, in a swarm, a secret; together they compress
#: to a twentieth. The gate unpacks it beside Grafana's data.
BUNDLE, UNPACKED = "dashboards.tar.gz", "dashboards"
UNPACK = (
    "cd {data} && rm -rf new && mkdir new && base64 -d {bundle} | tar -xz -C new && rm -rf {folder} && mv new {folder}"
)
#: Seconds; up to ten, later releases watch the folder itself, and the gate puts another one in its place.
READ_EVERY = 15
#: The setting is read at the very first start alone; a password that changed later is set by the server's own tool.
RESET = "grafana cli admin reset-admin-password --password-from-stdin"


class GrafanaSpec(BaseModel):
    """How Grafana runs; known at plan time. ``dashboards`` are JSON texts by their file's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "grafana"
    stand_in: bool = False
    memory_mib: int = Field(ge=minimum_memory("grafana"))
    cpus: float = 0
    port: Port
    dashboards: Mapping[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GrafanaArgs(ServerArgs):
    """What the server is made from; its sources are URLs on the platform's network, where there are any."""

    prometheus: str = ""
    elasticsearch: str = ""


class Grafana(pulumi.ComponentResource):
    """The server. ``url`` is where it is on the host, ``password`` the one of its user ``admin``."""

    url: pulumi.Output[str]
    password: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: GrafanaSpec, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Grafana", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.password = GeneratedSecret(f"{name}-password", opts=child).value
        files: dict[str, pulumi.Input[str]] = {
            PASSWORD: self.password,
            DATASOURCES: datasources(args.prometheus, args.elasticsearch),
            DASHBOARDS: provider(spec),
            BUNDLE: bundle(spec.dashboards),
        }
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=files), child
        )
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def datasources(prometheus: str, elasticsearch: str) -> str:
    """The file of data sources, as JSON; dashboards name them by ``uid``."""
    sources: list[dict[str, Any]] = []
    if prometheus:
        sources.append(
            {
                "name": "Prometheus",
                "uid": "prometheus",
                "type": "prometheus",
                "access": "proxy",
                "url": prometheus,
                "isDefault": True,
                "jsonData": {"timeInterval": "15s", "httpMethod": "POST"},
            }
        )
    if elasticsearch:
        sources.append(
            {
                "name": "Elasticsearch",
                "uid": "elasticsearch",
                "type": "elasticsearch",
                "access": "proxy",
                "url": elasticsearch,
                "jsonData": {"index": "logs-*", "timeField": "@timestamp", "logMessageField": "message"},
            }
        )
    return json.dumps({"apiVersion": 1, "datasources": sources}, indent=1)


def provider(spec: GrafanaSpec) -> str:
    """The file that says where dashboards are. One whose file is gone is removed: its service is."""
    folder = {
        "name": "nexus",
        "folder": "",
        "type": "file",
        "disableDeletion": False,
        "updateIntervalSeconds": READ_EVERY,
    }
    options = {"path": f"{spec.contract.data}/{UNPACKED}"}
    return json.dumps({"apiVersion": 1, "providers": [{**folder, "options": options}]}, indent=1)


def bundle(dashboards: Mapping[str, str]) -> str:
    """The dashboards, by file names, as a compressed archive in base64; the same one for the same dashboards."""
    buffer = io.BytesIO()
    # without the time of packing, or each preview would show another file
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, text in sorted(dashboards.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return base64.b64encode(buffer.getvalue()).decode()


def workload(spec: GrafanaSpec) -> WorkloadSpec:
    """Grafana as a workload. It asks nobody outside the platform, and downloads nothing."""
    unpack = UNPACK.format(data=spec.contract.data, bundle=spec.contract.secret(BUNDLE), folder=UNPACKED)
    healthy = f"curl -fsS -m 4 -o /dev/null http://127.0.0.1:{spec.contract.ports['http']}/api/health"
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        stand_in=spec.stand_in,
        contract=spec.contract,
        env={
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_NEWS_NEWS_FEED_ENABLED": "false",
            "GF_PATHS_PROVISIONING": spec.contract.secret("provisioning"),
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            "GF_SECURITY_ADMIN_PASSWORD__FILE": spec.contract.secret(PASSWORD),
            "GF_SECURITY_ADMIN_USER": ADMIN,
            "GF_SERVER_ROOT_URL": f"http://{reachable(spec.port.bind)}:{spec.port.host}/",
            "GF_USERS_ALLOW_SIGN_UP": "false",
        },
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("sh", "-c", f"{healthy} && {RESET} < {spec.contract.secret(PASSWORD)} && {unpack}"),
        live=(PASSWORD, BUNDLE),
    )
