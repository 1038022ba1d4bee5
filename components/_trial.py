"""Whether a new version works is found out beside the running one, which is replaced only then."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pulumi

from components._labels import labels
from components._naming import physical
from components._resources import Files, Trial

if TYPE_CHECKING:
    from components.workload import WorkloadArgs, WorkloadSpec

#: What of a workload makes none of its containers again: the engine changes the limit while they run, further replicas
#: are further containers, and the others say how it is asked.
NO_VERSION = {"memory_mib", "replicas", "tried", "ready", "live", "ready_timeout"}


def trial(
    name: str,
    spec: WorkloadSpec,
    args: WorkloadArgs,
    *,
    files: Files | None,
    hosts: tuple[str, ...],
    opts: pulumi.ResourceOptions,
) -> Trial:
    """The trial that the replacement of ``hosts`` waits for. What is tried counts as a helper, not as the service."""
    return Trial(
        f"{name}-trial",
        version=version(spec, args, files),
        container=tried(spec),
        running=[physical(spec.stack, host) for host in hosts],
        joins=spec.name,
        image=args.image,
        labels=labels(spec.stack, spec.name, kind="helper", stand_in=spec.stand_in),
        network=args.network,
        user=spec.contract.user,
        checks=[spec.gate, spec.check.command],
        memory=spec.memory_mib,
        command=spec.command,
        env=spec.environment,
        volume=files.volume if files else None,
        mount=spec.contract.secrets if files else None,
        tmpfs=spec.contract.tmpfs,
        timeout=spec.ready_timeout,
        opts=opts,
    )


def tried(spec: WorkloadSpec) -> str:
    """The container that a version is tried in."""
    return physical(spec.stack, f"{spec.name}-trial")


def version(spec: WorkloadSpec, args: WorkloadArgs, files: Files | None) -> pulumi.Output[str]:
    """A digest that is another one when containers of the workload have to be made again."""
    made_of = (spec.model_dump_json(exclude=NO_VERSION), args.image, files.digest if files else "")
    return pulumi.Output.all(*made_of).apply(lambda all: hashlib.sha256("\0".join(all).encode()).hexdigest()[:16])
