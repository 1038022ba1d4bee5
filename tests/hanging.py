"""What hangs: a container all of whose processes are stopped, as the engine cannot know. Needs to be root of the host.

``docker pause`` would not do: the engine reports it as paused. Nor would the signal to the first process alone, which
in some images is an init.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

import psutil


def processes(container: Any) -> list[int]:
    """The host's process ids of a running container; none of one that does not run."""
    import docker

    with suppress(docker.errors.APIError):
        shown = container.top(ps_args="-eo pid")
        return [int(row[0]) for row in shown["Processes"] or []]
    return []


def hang(container: Any) -> None:
    """Stop every process of a container, also those that were started meanwhile."""
    for _ in range(2):
        for pid in processes(container):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)


def hangs(container: Any) -> bool:
    """Whether any process of it is stopped."""
    return any(_stopped(pid) for pid in processes(container))


def _stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False
