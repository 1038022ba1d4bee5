"""The engine that runs a workload as a service of a Docker swarm, on one node or on many.

As with containers: health check, limits, rotated logs, no capabilities, a read-only root, secrets as files. Different:
files are Swarm secrets, which cannot be changed, so a changed file is a new secret and a rolling update. An update that
does not become healthy is taken back by Swarm itself, and `up` fails. What Swarm has no field for (no-new-privileges, a
limit of processes, the address a port is bound to, the owner of a tmpfs) is in docs/swarm.md.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker

from components._contract import Contract
from components._exposure import exposure
from components._health import duration
from components._labels import FILE, VERSION, labels
from components._naming import physical, versioned
from components._resources import Exec
from components._tasks import task
from components.workload import (
    ContainerEngine,
    Port,
    Running,
    WorkloadArgs,
    WorkloadSpec,
)

#: A failure this long after an update still takes it back.
MONITOR_SECONDS = 5
RELAY_MEMORY_MIB = 48


@dataclass(frozen=True, kw_only=True)
class Relay:
    """The image of the relays, by which the program's providers reach what Swarm does not publish."""

    image: pulumi.Input[str]
    contract: Contract


@dataclass(frozen=True, kw_only=True)
class SwarmEngine:
    """Each workload is a service of the swarm that this engine manages; its instances are the service's tasks."""

    relay: Relay

    def run(self, name: str, spec: WorkloadSpec, args: WorkloadArgs, opts: pulumi.ResourceOptions) -> Running:
        """See ``Engine.run``. All tasks answer to one name."""
        own = labels(spec.stack, spec.name, kind=spec.kind, stand_in=spec.stand_in)
        files = _secrets(name, spec, args, own, opts)
        data = _volume(name, spec, own, opts) if spec.contract.data else None
        version = _version(spec, args, files)
        service = docker.Service(
            f"{name}-server",
            name=physical(spec.stack, spec.name),
            labels=[docker.ServiceLabelArgs(label=k, value=v) for k, v in {**own, VERSION: version}.items()],
            mode=docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=spec.replicas)),
            endpoint_spec=_endpoint(spec),
            task_spec=task(spec, args, own, files, data),
            update_config=docker.ServiceUpdateConfigArgs(**_rolling(spec, "rollback")),
            rollback_config=docker.ServiceRollbackConfigArgs(**_rolling(spec, "pause")),
            opts=opts,
        )
        ready = Exec(
            f"{name}-ready",
            container=physical(spec.stack, spec.name),
            container_id=pulumi.Output.concat(service.id, "-", version),  # it keeps its id, but gets new tasks
            version=version,
            command=spec.gate,
            stdin=args.ready_input,
            timeout=patience(spec),
            opts=opts,
        )
        return Running(
            host=spec.name,
            hosts=(spec.name,),
            ready=self._reachable(name, spec, args, ready, opts),
            data=data,
            inside=ready,
        )

    def _reachable(
        self, name: str, spec: WorkloadSpec, args: WorkloadArgs, ready: Exec, opts: pulumi.ResourceOptions
    ) -> Exec:
        """The gate behind which the relayed ports answer as well: the relay's own, where there is one."""
        rules = tuple(port for port in spec.ports if exposure(spec.name, port.bind) == "relayed")
        if not rules:
            return ready
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[ready]))
        started = WorkloadArgs(image=self.relay.image, network=args.network)
        return ContainerEngine().run(f"{name}-relay", relay(spec, self.relay.contract, rules), started, after).ready


def relay(spec: WorkloadSpec, contract: Contract, ports: tuple[Port, ...]) -> WorkloadSpec:
    """The relay of a service as a workload, for a container."""
    return WorkloadSpec(
        stack=spec.stack,
        name=f"{spec.name}-relay",
        kind="helper",
        contract=contract,
        command=tuple(f"{port.container}={spec.name}:{port.container}" for port in ports),
        ports=ports,
        memory_mib=RELAY_MEMORY_MIB,
    )


def patience(spec: WorkloadSpec) -> int:
    """Seconds until a service that neither runs nor fails counts as failed: one replica is updated after the other."""
    return spec.ready_timeout * (spec.replicas + 1)


def _version(spec: WorkloadSpec, args: WorkloadArgs, files: Mapping[str, docker.Secret]) -> pulumi.Output[str]:
    """What changes with every update."""
    made_of = [spec.model_dump_json(exclude={"tried"}), args.image, *(secret.name for secret in files.values())]
    return pulumi.Output.all(*made_of).apply(lambda all: hashlib.sha256("\0".join(all).encode()).hexdigest()[:16])


def _endpoint(spec: WorkloadSpec) -> docker.ServiceEndpointSpecArgs:
    """The name stands for the tasks' own addresses, so that the gateway checks, cuts off and retries each of them."""
    return docker.ServiceEndpointSpecArgs(
        mode="dnsrr",
        ports=[
            docker.ServiceEndpointSpecPortArgs(
                target_port=port.container, published_port=port.host, publish_mode="host", protocol="tcp"
            )
            for port in _published(spec)
        ],
    )


def _published(spec: WorkloadSpec) -> list[Port]:
    return [port for port in spec.ports if exposure(spec.name, port.bind) == "published"]


def _rolling(spec: WorkloadSpec, on_failure: str) -> dict[str, Any]:
    """One task after the other. A new one first, unless volume or host port can have one owner only."""
    exclusive = spec.contract.data or _published(spec)
    return {
        "parallelism": 1,
        "delay": "0s",
        "failure_action": on_failure,
        "monitor": duration(MONITOR_SECONDS),
        "max_failure_ratio": "0.0",
        "order": "stop-first" if exclusive else "start-first",
    }


def _secrets(
    name: str, spec: WorkloadSpec, args: WorkloadArgs, own: Mapping[str, str], opts: pulumi.ResourceOptions
) -> dict[str, docker.Secret]:
    """A secret for each file. It cannot be changed, so its name has a digest of its content."""
    # the service uses the old one until it is updated; the plugin would remove it first
    beside = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=False))

    def secret(file: str, content: pulumi.Input[str]) -> docker.Secret:
        text = pulumi.Output.secret(content)

        def named(known: str) -> str:
            digest = hashlib.sha256(f"{file}\0{known}".encode()).hexdigest()[:12]
            return versioned(spec.stack, spec.name, digest)

        return docker.Secret(
            f"{name}-file-{file}",
            name=pulumi.Output.unsecret(text.apply(named)),  # a digest of a random secret tells nothing
            data=text.apply(lambda known: base64.b64encode(known.encode()).decode()),
            labels=[docker.SecretLabelArgs(label=key, value=value) for key, value in {**own, FILE: file}.items()],
            opts=beside,
        )

    return {file: secret(file, content) for file, content in sorted(args.files.items())}


def _volume(name: str, spec: WorkloadSpec, own: Mapping[str, str], opts: pulumi.ResourceOptions) -> docker.Volume:
    return docker.Volume(
        f"{name}-data",
        name=physical(spec.stack, f"{spec.name}-data"),
        labels=[docker.VolumeLabelArgs(label=key, value=value) for key, value in own.items()],
        opts=opts,
    )
