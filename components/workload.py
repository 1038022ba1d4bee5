"""What runs a workload: one small interface, and the engine that runs it as a container.

Every workload, whatever runs it: the server's own health check, a memory limit, a restart policy, rotated logs, no new
privileges, no capabilities, a read-only root, files instead of secrets in the environment, ports on named addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pulumi_docker as docker
from pydantic import BaseModel, ConfigDict, Field, model_validator

from components._contract import Contract
from components._health import HealthCheck, duration
from components._labels import FILES_DIGEST, labels
from components._naming import physical
from components._resources import Exec, Files
from components._tls import Tls
from components._trial import trial, tried

#: A container's log is rotated by the engine: at most 3 files of 10 MB each.
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}
#: How long a container may take to stop before it is killed, in seconds; PostgreSQL's fast shutdown needs the longest.
STOP_SECONDS = 30
#: Where a Docker engine listens, on the host and in the one kind of container that is allowed to have it.
SOCKET = "/var/run/docker.sock"


class Port(BaseModel):
    """A container's port published on a host address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    container: int = Field(ge=1, le=65535)
    host: int = Field(ge=1, le=65535)
    bind: str = "127.0.0.1"


def reachable(bind: str) -> str:
    """The address at which a port bound to ``bind`` is reached from the host itself."""
    return "127.0.0.1" if bind in ("0.0.0.0", "::") else bind  # noqa: S104


class WorkloadSpec(BaseModel):
    """What to run; known at plan time, so that a wrong one is refused before any resource exists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    name: str
    kind: str = Field(default="service", pattern="^(service|helper)$")
    stand_in: bool = False
    contract: Contract
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict, description="never a secret: anyone may read it by inspect")
    ports: tuple[Port, ...] = ()
    memory_mib: int = Field(gt=0)
    cpus: float = Field(default=1, ge=0, le=64, description="of the host's CPUs at most; 0 sets no limit")
    replicas: int = Field(default=1, ge=1, le=20)
    health: tuple[str, ...] = Field(default=(), description="does it work; the contract's own command by default")
    alive: tuple[str, ...] = Field(
        default=(),
        description="does it work as far as it can by itself: what the engine asks, as a restart brings nothing that it"
        " waits for; the contract's by default, `health` where that has none",
    )
    ready: tuple[str, ...] = Field(default=(), description="asked during `up`; `health` by default")
    live: tuple[str, ...] = Field(default=(), description="files that `ready` makes the server read again, running on")
    tried: bool = Field(default=False, description="a new version first proves itself beside the running one")
    ready_timeout: int = Field(default=120, ge=1, le=3600)
    check_interval: int = Field(default=10, ge=1, le=3600, description="seconds between two checks by the engine")

    @model_validator(mode="after")
    def _stateful_ones_run_once(self) -> WorkloadSpec:
        if self.replicas > 1 and self.contract.data:
            raise ValueError(f"{self.name}: keeps data in a volume, which {self.replicas} replicas cannot share; set 1")
        if self.tried and self.contract.data:
            raise ValueError(f"{self.name}: keeps data in a volume, which a second version cannot share while tried")
        return self

    @property
    def gate(self) -> tuple[str, ...]:
        """What an `up` asks until it is answered."""
        return self.ready or self.health or self.contract.health

    @property
    def check(self) -> HealthCheck:
        """The engine's health check."""
        command = self.alive or self.contract.alive or self.health or self.contract.health
        return HealthCheck(command=command, interval=self.check_interval)

    @property
    def environment(self) -> dict[str, str]:
        """All environment variables, the contract's among them, in a stable order."""
        return dict(sorted({**self.contract.environment, **self.env}.items()))


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """What is known only while the stack is being made."""

    image: pulumi.Input[str]
    network: pulumi.Input[str]
    files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    ready_input: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started workload: its names on the network, the gate that opens when all of it answers, its volume, if any.

    ``host`` is where to send to when any instance will do; ``hosts`` names each instance that others can tell apart.
    ``inside`` is the gate's part that is asked in the container itself.
    """

    host: str
    hosts: tuple[str, ...]
    ready: Exec
    data: docker.Volume | None
    inside: Exec

    def tell(self, name: str, command: Sequence[str], stdin: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Exec:
        """Run a command in the container with this input (in the last one's, of several)."""
        return self.inside.further(name, command, stdin, opts)


class Engine(Protocol):
    """Runs workloads. Children get ``opts``, which name the component as their parent."""

    def run(self, name: str, spec: WorkloadSpec, args: WorkloadArgs, opts: pulumi.ResourceOptions) -> Running:
        """Start ``spec`` under the resource names ``{name}-...``; the result's ``ready`` waits until it answers."""
        ...


@dataclass(frozen=True, kw_only=True)
class ServerArgs:
    """What every server component is made from: its image, its network, and what runs it.

    A data server with ``tls`` takes encrypted connections and no others.
    """

    image: pulumi.Input[str]
    network: pulumi.Input[str]
    engine: Engine
    tls: Tls | None = None


def instance(name: str, number: int) -> str:
    """The name of an instance: the first has the workload's own."""
    return name if number == 1 else f"{name}-{number}"


def instances(name: str, replicas: int) -> tuple[str, ...]:
    """The names of all instances."""
    return tuple(instance(name, number) for number in range(1, replicas + 1))


@dataclass(frozen=True)
class _Mounted:
    """What all containers of a workload share: labels, files and data."""

    labels: Mapping[str, str]
    files: Files | None
    data: docker.Volume | None

    @property
    def container_labels(self) -> dict[str, pulumi.Input[str]]:
        return {**self.labels, **({FILES_DIGEST: self.files.digest} if self.files else {})}

    def volumes(self, contract: Contract) -> list[docker.ContainerVolumeArgs]:
        socket = [docker.ContainerVolumeArgs(host_path=SOCKET, container_path=SOCKET)]
        mounts = [
            *([(self.files.volume, contract.secrets, True)] if self.files else []),
            *([(self.data.name, contract.data, False)] if self.data and contract.data else []),
        ]
        volumes = [
            docker.ContainerVolumeArgs(volume_name=volume, container_path=path, read_only=read_only)
            for volume, path, read_only in mounts
        ]
        return volumes + (socket if "socket" in contract.exceptions else [])


class ContainerEngine:
    """Each instance of a workload is a container of a Docker engine."""

    def run(self, name: str, spec: WorkloadSpec, args: WorkloadArgs, opts: pulumi.ResourceOptions) -> Running:
        """See ``Engine.run``. Replicas are made, and replaced, one after the other: the others answer meanwhile.

        None is replaced before the version that is to come has been well beside them, where that can be tried; that one
        answers too until the last of them does.
        """
        own = labels(spec.stack, spec.name, kind=spec.kind, stand_in=spec.stand_in)
        files = self._files(name, spec, args, own, opts) if args.files else None
        data = self._data(name, spec, own, opts) if spec.contract.data else None
        mounted = _Mounted(own, files, data)
        hosts = instances(spec.name, spec.replicas)
        new = trial(name, spec, args, files=files, hosts=hosts, opts=opts) if spec.tried else None
        triggers = {
            **({"files": files.revision} if files and spec.live else {}),
            **({"version": new.version} if new else {}),
        }
        ready: Exec | None = None
        for number, host in enumerate(hosts, 1):
            gate = ready or new
            before = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[gate] if gate else None))
            resource = f"{instance(name, number)}-server"
            container = docker.Container(resource, opts=before, **self._container(host, spec, args, mounted))
            ready = Exec(
                f"{instance(name, number)}-ready",
                container=physical(spec.stack, host),
                container_id=container.id,
                command=spec.gate,
                stdin=args.ready_input,
                triggers=triggers or None,
                timeout=spec.ready_timeout,
                pids=spec.contract.pids,
                relieves=tried(spec) if new and host == hosts[-1] else None,
                opts=opts,
            )
        assert ready is not None
        return Running(host=spec.name, hosts=hosts, ready=ready, data=data, inside=ready)

    @staticmethod
    def _container(host: str, spec: WorkloadSpec, args: WorkloadArgs, mounted: _Mounted) -> dict[str, Any]:
        contract = spec.contract
        return {
            "name": physical(spec.stack, host),
            "hostname": host,
            "image": args.image,
            "command": list(spec.command) or None,
            "user": contract.user,
            "envs": [f"{key}={value}" for key, value in spec.environment.items()],
            "ports": [
                docker.ContainerPortArgs(internal=p.container, external=p.host, ip=p.bind)
                for p in spec.ports
                if host == spec.name  # a host port leads to one container: the first
            ],
            "networks_advanced": [docker.ContainerNetworksAdvancedArgs(name=args.network, aliases=[host])],
            "volumes": mounted.volumes(contract),
            "healthcheck": _healthcheck(spec.check),
            "labels": [
                docker.ContainerLabelArgs(label=label, value=value) for label, value in mounted.container_labels.items()
            ],
            "restart": "unless-stopped",
            "memory": spec.memory_mib,
            "memory_swap": spec.memory_mib,  # unset, the engine reports twice the memory back and every preview differs
            "cpus": reported(spec.cpus) if spec.cpus else None,
            "read_only": True,
            "tmpfs": dict(contract.tmpfs),
            "capabilities": docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            "security_opts": ["no-new-privileges"],
            "log_driver": "json-file",
            "log_opts": LOG_OPTIONS,
            "destroy_grace_seconds": STOP_SECONDS,
            "must_run": True,
            "wait": False,  # the gate asks sooner than the engine's first check comes
        }

    @staticmethod
    def _files(
        name: str, spec: WorkloadSpec, args: WorkloadArgs, own: Mapping[str, str], opts: pulumi.ResourceOptions
    ) -> Files:
        return Files(
            f"{name}-files",
            volume=physical(spec.stack, f"{spec.name}-files"),
            labels=own,
            image=args.image,
            owner=spec.contract.user,
            files=args.files,
            live=spec.live,
            opts=opts,
        )

    @staticmethod
    def _data(name: str, spec: WorkloadSpec, own: Mapping[str, str], opts: pulumi.ResourceOptions) -> docker.Volume:
        return docker.Volume(
            f"{name}-data",
            name=physical(spec.stack, f"{spec.name}-data"),
            labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in own.items()],
            opts=opts,
        )


def reported(cpus: float) -> str:
    """CPUs as the Docker plugin reads them back (1.0, 0.25 and, indeed, 10.), or every preview would differ."""
    text = f"{cpus:.9f}"
    return f"{cpus:.1f}" if text.count("0") == 9 else text.rstrip("0")


def _healthcheck(check: HealthCheck) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *check.command],
        interval=duration(check.interval),
        timeout=duration(check.timeout),
        retries=check.retries,
        start_period=duration(check.start_period),
    )
