"""What a task of a Swarm service is: its container, its limits, its place, as the Docker plugin takes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pulumi_docker as docker

from components._contract import Contract
from components._health import duration
from components._naming import data_node
from components.workload import LOG_OPTIONS, STOP_SECONDS, WorkloadArgs, WorkloadSpec

#: A task counts as running, and is found by its name, after its first health check, which comes after one interval. So
#: it is shorter than for containers: with 10 s every start, and every replica of an update, would take 5 s longer.
CHECK_INTERVAL = 5
#: Swarm replaces what is unhealthy, and on a busy machine everything answers late: replacing it would make it busier.
#: What hangs is cut off by the gateway long before.
CHECK_TIMEOUT = 20
#: Between two starts of a task that fails.
RESTART_DELAY = 2
MIB, NANO = 2**20, 10**9


def task(
    spec: WorkloadSpec,
    args: WorkloadArgs,
    own: Mapping[str, str],
    files: Mapping[str, docker.Secret],
    data: docker.Volume | None,
) -> docker.ServiceTaskSpecArgs:
    """The task of a workload: ``own`` are its labels, ``files`` its secrets by file name, ``data`` its volume."""
    limits = docker.ServiceTaskSpecResourcesLimitsArgs(
        memory_bytes=spec.memory_mib * MIB, nano_cpus=int(spec.cpus * NANO)
    )
    return docker.ServiceTaskSpecArgs(
        container_spec=docker.ServiceTaskSpecContainerSpecArgs(**_container(spec, args, own, files, data)),
        resources=docker.ServiceTaskSpecResourcesArgs(limits=limits),
        restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(
            condition="any",
            delay=duration(RESTART_DELAY),
            window="0s",  # unset, the engine reports it back and every preview differs
        ),
        placement=docker.ServiceTaskSpecPlacementArgs(
            constraints=[f"node.labels.{data_node(spec.stack)}==true"] if data else None
        ),
        networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=args.network, aliases=[spec.name])],
        log_driver=docker.ServiceTaskSpecLogDriverArgs(name="json-file", options=LOG_OPTIONS),
    )


def _container(
    spec: WorkloadSpec,
    args: WorkloadArgs,
    own: Mapping[str, str],
    files: Mapping[str, docker.Secret],
    data: docker.Volume | None,
) -> dict[str, Any]:
    contract = spec.contract
    label = docker.ServiceTaskSpecContainerSpecLabelArgs
    return {
        "image": args.image,
        "hostname": spec.name if spec.replicas == 1 else f"{spec.name}-{{{{.Task.Slot}}}}",
        "args": list(spec.command) or None,
        "user": contract.user,
        "env": {**contract.environment, **spec.env},
        "labels": [label(label=key, value=value) for key, value in own.items()],
        "mounts": _mounts(contract, data),
        "secrets": [_mounted(contract, file, secret) for file, secret in files.items()],
        "healthcheck": _healthcheck(spec),
        "read_only": True,
        "cap_drops": ["ALL"],
        "stop_signal": contract.stop_signal,
        "stop_grace_period": duration(STOP_SECONDS),
    }


def _mounts(contract: Contract, data: docker.Volume | None) -> list[docker.ServiceTaskSpecContainerSpecMountArgs]:
    mount = docker.ServiceTaskSpecContainerSpecMountArgs
    found = [mount(**_temporary(path, options)) for path, options in contract.tmpfs.items()]
    return [*found, *([mount(type="volume", source=data.name, target=contract.data or "")] if data else [])]


def _temporary(path: str, options: str) -> dict[str, Any]:
    """A tmpfs. Swarm's has a mode and no more: one with an owner or programs is a volume of the task, in memory."""
    parts = [part for part in options.split(",") if part]
    given = {key: value for key, _, value in (part.partition("=") for part in parts)}
    if given.keys() <= {"mode"}:
        bits = int(given.get("mode") or "1777", 8) & 0o777  # the plugin knows no more of it
        return {
            "type": "tmpfs",
            "target": path,
            "tmpfs_options": docker.ServiceTaskSpecContainerSpecMountTmpfsOptionsArgs(mode=bits),
        }
    flags = ["nosuid", "nodev", *([] if "exec" in given else ["noexec"])]
    flags += [part for part in parts if part != "exec"]
    driver = {"type": "tmpfs", "device": "tmpfs", "o": ",".join(flags)}
    return {
        "type": "volume",
        "target": path,
        "volume_options": docker.ServiceTaskSpecContainerSpecMountVolumeOptionsArgs(
            no_copy=True, driver_name="local", driver_options=driver
        ),
    }


def _mounted(contract: Contract, file: str, secret: docker.Secret) -> docker.ServiceTaskSpecContainerSpecSecretArgs:
    return docker.ServiceTaskSpecContainerSpecSecretArgs(
        secret_id=secret.id,
        secret_name=secret.name,
        file_name=contract.secret(file),
        file_uid=str(contract.uid),
        file_gid=str(contract.gid),
        file_mode=0o400,
    )


def _healthcheck(spec: WorkloadSpec) -> docker.ServiceTaskSpecContainerSpecHealthcheckArgs:
    check = spec.check
    return docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
        tests=["CMD", *check.command],
        interval=duration(CHECK_INTERVAL),
        timeout=duration(max(check.timeout, CHECK_TIMEOUT)),
        retries=math.ceil(check.retries * check.interval / CHECK_INTERVAL),  # what refuses is found as soon
        start_period=_short(max(check.start_period, spec.ready_timeout)),  # `up` waits as long
    )


def _short(seconds: int) -> str:
    """As the plugin reports a service's durations back: ``2m`` for ``2m0s``, or every preview would differ."""
    text = duration(seconds)
    text = text[:-2] if text.endswith("m0s") else text
    return text[:-2] if text.endswith("h0m") else text
