"""CPU that idle containers cost: their own, and the engine's for running their health checks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from docker import DockerClient

#: Programs of the engine; each container has a shim of its own besides.
DAEMONS = ("dockerd", "containerd")
SHIM = "containerd-shim-runc-v2"


@dataclass(frozen=True)
class Idle:
    """CPU in percent of one core: all of it, what is spent in the containers, and the rest, which is the engine's.

    ``total`` and ``engine`` are None when the engine's processes are not on this machine.
    """

    containers: float
    total: float | None

    @property
    def engine(self) -> float | None:
        """Daemons, shims and the starts of health checks."""
        return None if self.total is None else max(self.total - self.containers, 0.0)


def measure(client: DockerClient, identities: list[str], seconds: float) -> Idle:
    """Watch containers for ``seconds``."""
    started = time.monotonic()
    before, tree_before = in_containers(client, identities), in_trees(identities)
    time.sleep(seconds)
    after, tree_after = in_containers(client, identities), in_trees(identities)
    passed = time.monotonic() - started
    total = None if tree_before is None or tree_after is None else (tree_after - tree_before) / passed * 100
    return Idle((after - before) / passed * 100, total)


def in_containers(client: DockerClient, identities: list[str]) -> float:
    """CPU seconds spent in the containers' control groups so far."""

    def one(identity: str) -> int:
        found: Mapping[str, Any] = client.api.stats(identity, stream=False, one_shot=True)
        return found["cpu_stats"]["cpu_usage"]["total_usage"]

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one, identities)) / 1e9


def in_trees(identities: Iterable[str]) -> float | None:
    """CPU seconds of the daemons and of the containers' process trees so far; None when no daemon runs here.

    Counted with the time of children that ended. A tree's sum only grows, whatever ends in it, and nothing is counted
    twice: a health check's time goes to the shim that started it.
    """
    wanted = set(identities)
    daemons, shims = [], []
    for process in psutil.process_iter(["name", "cmdline"]):
        name, line = process.info["name"] or "", process.info["cmdline"] or []
        if name in DAEMONS:
            daemons.append(process)
        elif name.startswith(SHIM[:15]) and wanted.intersection(line):  # the kernel keeps 15 characters of a name
            shims.append(process)
    if not daemons:
        return None
    counted = {*daemons, *shims}
    for shim in shims:
        with suppress(psutil.NoSuchProcess):
            counted |= set(shim.children(recursive=True))
    return sum(_spent(process) for process in counted)


def _spent(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # What a daemon waited for long ago is in both readings; only the difference is used.
    return times.user + times.system + times.children_user + times.children_system
