"""Plugins of a run that was killed: they would go on creating things that nobody records."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

#: A plugin or language host: it says so in its command line, which ends with the engine's address.
PLUGIN = re.compile(r"pulumi-(resource|language|analyzer)-|pulumi\.(dynamic|policy)|pulumi-resource")
ADDRESS = re.compile(r"127\.0\.0\.1:\d+|\[::1\]:\d+")
#: Seconds a plugin gets to finish the request it is in.
PATIENCE = 3.0


def is_orphan(process: psutil.Process, backend: str) -> bool:
    """Whether it is a plugin of a run on this backend whose engine is gone (no `pulumi` among its ancestors)."""
    import psutil

    try:
        command = process.cmdline()
        if not any(ADDRESS.fullmatch(part) for part in command) or not PLUGIN.search(" ".join(command)):
            return False
        if process.environ().get("PULUMI_BACKEND_URL") != backend:
            return False
        return not any(parent.name() == "pulumi" for parent in process.parents())
    except psutil.Error:
        return False


def end(backend: str, report: Callable[[str], None]) -> int:
    """End the orphans of a backend, gently first; returns how many there were."""
    import psutil

    own = os.getuid()
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real == own and is_orphan(process, backend):
                found.append(process)
        except psutil.Error:
            continue
    for process in found:
        report(f"ending a plugin that a killed run left: {process.pid}")
        _signal(process.terminate)
    _, alive = psutil.wait_procs(found, timeout=PATIENCE)
    for process in alive:
        _signal(process.kill)
    psutil.wait_procs(alive, timeout=PATIENCE)
    return len(found)


def _signal(action: Callable[[], None]) -> None:
    import contextlib

    import psutil

    with contextlib.suppress(psutil.Error):
        action()
