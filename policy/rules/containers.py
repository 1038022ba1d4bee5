"""What every container and every service of a swarm must have, and must not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policy.model import Resource, Rule, Violation, known
from policy.workload import CONTAINER, WORKLOADS, plain, workload

#: Which service may have what of the host mounted, and which may run as root; the reasons are in
#: ``infra/contracts.yaml`` under ``exceptions``.
HOST_PATHS = {"healer": frozenset({"/var/run/docker.sock"})}
ROOT = frozenset({"healer"})
#: What opens a container's gate, and sets the limit of its processes, for which the Docker plugin has no field.
GATE = "nexus:index:Exec"
SPEC = "Every component runs it by `args.engine.run` (components/workload.py, components/_tasks.py), which sets it."


def health(resource: Resource) -> Iterator[str]:
    """A check, and not the one that switches an image's own off."""
    tests = workload(resource).health
    if not tests or tests[0].upper() == "NONE":
        yield "has no health check"


def limits(resource: Resource) -> Iterator[str]:
    """Memory and CPU are bounded."""
    one = workload(resource)
    if one.memory <= 0:
        yield "has no limit of memory"
    if one.cpus <= 0:
        yield "has no limit of CPUs"
    if resource.type == CONTAINER and plain(resource.get("memorySwap")) == -1:
        yield "may swap without limit"


def processes(resources: Sequence[Resource]) -> Iterator[Violation]:
    """Each container is one whose gate sets a limit."""
    gates = [each for each in resources if each.type == GATE and plain(each.get("pids"))]
    limited = {plain(gate.get("container")) for gate in gates}
    for each in resources:
        if each.type == CONTAINER and known(each.get("name")) and plain(each.get("name")) not in limited:
            yield Violation(each.urn, "has no limit of processes: no gate of it says `pids`")


def privileges(resource: Resource) -> Iterator[str]:
    """Nothing of the host's own."""
    one = workload(resource)
    yield from (f"gets the host's {each}" if each != "privileged" else "is privileged" for each in one.shared)
    yield from (f"gets the capability {each}" for each in sorted(one.adds))


def mounts(resource: Resource) -> Iterator[str]:
    """Nothing of the host's files, but for what is listed."""
    one = workload(resource)
    for path in one.host_paths:
        if path not in HOST_PATHS.get(one.service, ()):
            yield f"mounts {path} of the host"


def hardening(resource: Resource) -> Iterator[str]:
    """What a program does not need is taken from it."""
    one = workload(resource)
    if "ALL" not in one.drops:
        yield "keeps capabilities: it must drop ALL"
    if not one.read_only:
        yield "can write to its root: it must be read-only"
    if one.no_new_privileges is False:
        yield "may gain privileges: it must have no-new-privileges"
    user = one.user.split(":")[0]
    if known(resource.get("user")) and user in ("", "0", "root") and one.service not in ROOT:
        yield "runs as root"


RULES = (
    Rule(
        name="health-check",
        description="Every container and service has a health check.",
        remedy=f"Give its `health` in infra/contracts.yaml. {SPEC}",
        types=WORKLOADS,
        check=health,
    ),
    Rule(
        name="limits",
        description="Every container and service has limits of memory and CPUs.",
        remedy="Set `memory` and `cpus` of the service in infra/services.yaml or Pulumi.STACK.yaml; a helper's in its "
        "component.",
        types=WORKLOADS,
        check=limits,
    ),
    Rule(
        name="process-limit",
        description="Every container has a limit of processes.",
        remedy=f"Set `pids` in infra/contracts.yaml. {SPEC}",
        stack_types=frozenset({CONTAINER, GATE}),
        check_stack=processes,
    ),
    Rule(
        name="no-privileges",
        description="No container is privileged, or has the host's network, processes, devices or a capability.",
        remedy="Remove it from the component; what needs it runs outside of the platform.",
        severity="critical",
        types=WORKLOADS,
        check=privileges,
    ),
    Rule(
        name="no-host-mounts",
        description="Nothing of the host is mounted, but for the engine's socket where that is listed.",
        remedy="Use a volume, or `files` for configuration; a new owner of the socket is listed in "
        "policy/rules/containers.py with its reason in infra/contracts.yaml.",
        severity="critical",
        types=WORKLOADS,
        check=mounts,
    ),
    Rule(
        name="hardened",
        description="Every container drops all capabilities, has a read-only root, and neither is root nor becomes it.",
        remedy=f"Give its user (`uid`, `gid`) and writable paths (`tmpfs`) in infra/contracts.yaml. {SPEC}",
        types=WORKLOADS,
        check=hardening,
    ),
)
