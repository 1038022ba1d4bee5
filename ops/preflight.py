"""What this machine must have, one check each: result, value, rule, remedy. `doctor` shows all, `up` stops at one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from ops import objects, paths, ports, swarm
from ops import source as sources
from ops.errors import MACHINE, Failure
from ops.inputs import Inputs

GIB = 1024**3
#: Free disk: a cold registries-only bootstrap keeps about 6 GiB (Go cache 3, images 2, plugins 1); pulling needs 3.
DISK_COLD, DISK_WARM = 8 * GIB, 2 * GIB
#: Compiling the CLI peaks at about 2 GiB; the memory limits of the enabled services come on top.
MEMORY_BUILD = 2 * GIB
#: `--network-alias`, health checks and volume labels as they are used here.
ENGINE = (20, 10)
OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Check:
    """``result`` is ok, warning or failed; a failed check ends `up` and makes `doctor` exit with 3."""

    name: str
    result: str
    value: str
    rule: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """As in ``docs/schemas/doctor.schema.json``."""
        return asdict(self)

    def failure(self) -> Failure:
        """What `up` ends with."""
        return Failure(f"{self.name}: {self.value}", self.rule, self.remedy, MACHINE)


def check(name: str, good: bool, value: str, rule: str, remedy: str, *, hard: bool = True) -> Check:
    """A check that failed (or only warns, when not ``hard``) unless ``good``."""
    result = OK if good else FAILED if hard else WARNING
    return Check(name, result, value, rule, "" if good else remedy)


def python() -> Check:
    """The interpreter."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    return check("python", sys.version_info >= (3, 11), found, "3.11 or later", "apt-get install python3")


def disk() -> Check:
    """Free space where artefacts, images and state are kept; the least of them counts."""
    warm = (paths.CACHE / "artifacts").exists()
    least = int(os.environ.get("NEXUS_MIN_DISK_BYTES") or (DISK_WARM if warm else DISK_COLD))
    folders = [existing(paths.ROOT), existing(paths.CACHE), existing("/var/lib/docker")]
    where, free = min(((folder, shutil.disk_usage(folder).free) for folder in folders), key=lambda pair: pair[1])
    return check(
        "disk",
        free >= least,
        f"{free / GIB:.1f} GiB free at {where}",
        f"at least {least / GIB:.0f} GiB",
        "free some space: `docker image ls`, `docker volume ls`, and the Go build cache (`go clean -cache`) are large",
    )


def existing(path: object) -> str:
    """The path, or its nearest parent that exists."""
    folder = paths.Path(str(path))
    while not folder.exists():
        folder = folder.parent
    return str(folder)


def memory(inputs: Inputs | None) -> Check:
    """Available memory against the limits of what will run; too little only warns, as limits are seldom reached."""
    import psutil

    available = psutil.virtual_memory().available
    wanted = sum(service.memory for service in inputs.services) * 1024**2 if inputs else 0
    least = max(wanted, MEMORY_BUILD)
    return check(
        "memory",
        available >= least,
        f"{available / GIB:.1f} GiB available",
        f"{least / GIB:.1f} GiB: memory limits of the enabled services, or {MEMORY_BUILD / GIB:.0f} GiB to compile",
        "stop something, or disable services under nexus:services of the stack",
        hard=False,
    )


def engine() -> Check:
    """The Docker engine, as it is: `up` would install or start one where it can."""
    rule = f"answers, version {'.'.join(map(str, ENGINE))} or later"
    try:
        with objects.connect() as client:
            version = client.version()["Version"]
    except Failure as failure:
        debian_root = os.geteuid() == 0 and shutil.which("apt-get")
        remedy = "`./nexus up` installs and starts one" if debian_root else failure.remedy
        return check("docker engine", False, f"no answer: {failure.why}", rule, remedy)
    good = tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= ENGINE
    return check("docker engine", good, version, rule, "upgrade Docker (Debian 12: apt-get install docker.io)")


def free_ports(inputs: Inputs | None) -> Check:
    """The stack's host ports."""
    rule = "free, or held by this stack"
    if inputs is None:
        return Check("ports", WARNING, "not checked: the stack's settings cannot be read", rule)
    try:
        with objects.connect() as client:
            containers = ports.published(client, inputs.stack)
    except Failure:
        containers = {}
    found = ports.conflicts(inputs, containers)
    numbers = ", ".join(str(item.port) for item in ports.wanted(inputs))
    if not found:
        return Check("ports", OK, numbers, rule)
    problem = ports.failure(inputs, found)
    return Check("ports", FAILED, problem.why.replace("\n", "; "), rule, problem.remedy)


def cluster(inputs: Inputs | None) -> Iterator[Check]:
    """The swarm, for a stack that runs in one: that this engine manages it, and what it can do for containers."""
    if inputs is None or inputs.settings.engine != "swarm":
        return
    rule = "this engine manages a swarm, or is in none yet"
    try:
        with objects.connect() as client:
            found, options = swarm.look(client), client.info().get("SecurityOptions") or []
    except Failure as failure:
        yield Check("swarm", WARNING, f"not checked: {failure.what}", rule, "`./nexus up` makes one")
        return
    value = f"{found.nodes} nodes, at {found.address}" if found.manager else f"{found.state}"
    remedy = swarm.worker(found).remedy
    yield check("swarm", found.manager or not found.active, value, rule, remedy)
    yield check(
        "swarm hardening",
        any("no-new-privileges" in option for option in options),
        "the engine lets processes gain privileges unless a container says otherwise, which Swarm's cannot",
        "no-new-privileges is the engine's default",
        'add "no-new-privileges": true to /etc/docker/daemon.json on every node',
        hard=False,
    )


def settings(stack: str, inputs: Inputs | None, problem: Failure | None) -> Check:
    """The stack's settings and the catalogue."""
    if inputs:
        return Check("settings", OK, f"Pulumi.{stack}.yaml, {len(inputs.services)} services", "valid")
    assert problem is not None
    return Check("settings", FAILED, problem.what, problem.why, problem.remedy)


def source() -> Check:
    """Where things come from on this machine."""
    decision = sources.recorded() or sources.probe()
    return Check("source", OK, f"{decision.source}: {decision.why}", "upstream or local (`--source` changes it)")


def go() -> Check:
    """The compiler, which only a local source needs."""
    local = (sources.recorded() or sources.Decision(sources.LOCAL, "")).source == sources.LOCAL
    found = shutil.which("go") or ("/usr/local/go/bin/go" if paths.Path("/usr/local/go/bin/go").exists() else "")
    if not local:
        return Check("go", OK, found or "not there, not needed", "only needed where upstream cannot be reached")
    return check(
        "go", bool(found), found or "not there", "needed: upstream cannot be reached", "install Go 1.26 or later"
    )


def toolchain() -> Check:
    """Pulumi and its plugins; `up` makes what is missing."""
    from ops import pulumi_cli

    decision = sources.recorded() or sources.probe()
    found = pulumi_cli.find(decision.source)
    value = str(found.pulumi) if found else "not there yet"
    return check("pulumi", found is not None, value, "CLI and plugins", "`./nexus up` makes them", hard=False)


def every(stack: str, inputs: Inputs | None, problem: Failure | None) -> Iterator[Check]:
    """All checks, in the order in which people would fix them."""
    steps: tuple[Callable[[], Check], ...] = (
        lambda: settings(stack, inputs, problem), python, disk, lambda: memory(inputs), engine,
        lambda: free_ports(inputs), source, go, toolchain,
    )  # fmt: skip
    yield from (step() for step in steps)
    yield from cluster(inputs)


def require_space() -> None:
    """Before anything is made: stop when the disk is too full to end well."""
    if (found := disk()).result == FAILED:
        raise found.failure()


def require_ports(inputs: Inputs) -> None:
    """Stop when a port is held by somebody else. Without an engine no container of ours can be the holder."""
    try:
        with objects.connect() as client:
            containers = ports.published(client, inputs.stack)
    except Failure:
        containers = {}
    found = ports.conflicts(inputs, containers)
    if found:
        raise ports.failure(inputs, found)
