"""An application service: told where things are, and given only the identity by which Vault lends it the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import Endpoint
from components._contract import Contract
from components._limits import minimum_memory
from components._tls import client_files
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

SECRET_ID = "vault-secret-id"  # noqa: S105  the file's name


class Links(BaseModel):
    """Where a service finds what it is connected to; known at plan time. What is None it does not need.

    Each is a mapping of what comes after ``NEXUS_<NAME>_`` in the service's environment: host, port, database ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres: Mapping[str, str | int] | None = None
    redis: Mapping[str, str | int] | None = None
    rabbitmq: Mapping[str, str | int] | None = None
    consul: Mapping[str, str | int] | None = None
    vault: Mapping[str, str | int] | None = None
    ai: Mapping[str, str | int] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that say so."""
        given = {name: link for name, link in self if link}
        return {
            f"NEXUS_{name}_{key}".upper(): str(value)
            for name, link in given.items()
            for key, value in link.items()
            if value != ""
        }


class ServiceSpec(BaseModel):
    """How a service runs; known at plan time. ``role`` and ``settings`` are for the project's reference service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str
    memory_mib: int = Field(ge=minimum_memory("service"))
    cpus: float = Field(default=0, ge=0)
    replicas: int = Field(default=1, ge=1)
    port: Port
    public_url: str = ""
    role: str = "items"
    settings: Mapping[str, Any] = Field(default_factory=dict)
    links: Links = Links()
    alone: bool = Field(default=False, description="never two of it at a time, so no version is tried beside another")
    health_path: str = Field(default="/health", pattern="^/")
    ready_path: str = Field(default="/ready", pattern="^/")

    @property
    def target_port(self) -> int:
        """The port inside the container."""
        return self.contract.ports["http"]


@dataclass(frozen=True, kw_only=True)
class ServiceArgs(ServerArgs):
    """What a service is made from. ``secret_id`` is what it logs in to Vault with; its role there has its name.

    ``authority`` is the root's certificate, where a link says that its server is checked by it (``ca_file``).
    """

    secret_id: pulumi.Input[str]
    authority: pulumi.Input[str] | None = None


class Service(pulumi.ComponentResource):
    """The service. ``endpoint`` is where others reach it on the platform's network."""

    endpoint: Endpoint
    running: Running

    def __init__(
        self, name: str, spec: ServiceSpec, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Service", name, None, opts)
        self.running = args.engine.run(
            name,
            workload(spec),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={SECRET_ID: args.secret_id, **client_files(args.authority)},
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.endpoint = Endpoint(
            name=spec.name, host=self.running.host, port=spec.target_port, hosts=self.running.hosts
        )
        self.register_outputs({"host": self.running.host, "port": spec.target_port})


def workload(spec: ServiceSpec) -> WorkloadSpec:
    """The service as a workload. Its secret id is read at each login, so another one restarts nothing."""
    env = {
        "NEXUS_SERVICE": spec.name,
        "NEXUS_STACK": spec.stack,
        "NEXUS_PORT": str(spec.target_port),
        "NEXUS_ROLE": spec.role,
        "NEXUS_VAULT_SECRET_ID_FILE": spec.contract.secret(SECRET_ID),
        **({"NEXUS_PUBLIC_URL": spec.public_url} if spec.public_url else {}),
        **({"NEXUS_SETTINGS": json.dumps(spec.settings, sort_keys=True)} if spec.settings else {}),
        **spec.links.environment,
    }
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        env=env,
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        replicas=spec.replicas,
        health=(*spec.contract.health, spec.health_path),
        ready=(*spec.contract.health, spec.ready_path),
        live=(SECRET_ID,),
        tried=not spec.alone,
    )
