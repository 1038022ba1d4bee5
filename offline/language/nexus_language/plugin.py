"""Runs a plugin that is a Python program, such as a policy pack, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from queue import Queue
from threading import Thread
from typing import IO, Any

#: What the engine calls a policy pack. Pulumi's own runner takes its folder after the arguments, others want it first.
ANALYZER = "analyzer"
CHUNK = 65536
#: Seconds a plugin gets to end by itself.
PATIENCE = 3
_running: set[subprocess.Popen[bytes]] = set()


def command(request: Any) -> list[str]:
    """The plugin's argv: this interpreter, whose packages the program uses as well."""
    folder = request.info.program_directory or request.program
    if request.kind == ANALYZER:
        return [sys.executable, "-u", "-m", "pulumi.policy", *request.args, folder]
    return [sys.executable, "-u", folder, *request.args]


def run(request: Any, context: Any) -> Iterator[tuple[str, bytes | int]]:
    """What the plugin prints, as ``("stdout" or "stderr", bytes)``, and in the end ``("exitcode", number)``.

    It is stopped when the engine gives up the call, which is how the engine stops a plugin.
    """
    analyzer = request.kind == ANALYZER
    process = subprocess.Popen(
        command(request),
        cwd=request.info.program_directory if analyzer else request.pwd or None,
        env={**os.environ, **dict(pair.split("=", 1) for pair in request.env)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _running.add(process)
    context.add_callback(lambda: stop(process))
    said: Queue[tuple[str, bytes | None]] = Queue()
    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        Thread(target=_pump, args=(name, stream, said), daemon=True).start()
    left = 2
    while left:
        name, data = said.get()
        if data is None:
            left -= 1
        else:
            yield name, data
    yield "exitcode", process.wait()
    _running.discard(process)


def _pump(name: str, stream: IO[bytes], said: Queue[tuple[str, bytes | None]]) -> None:
    with suppress(OSError, ValueError):
        while data := os.read(stream.fileno(), CHUNK):
            said.put((name, data))
    said.put((name, None))


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a plugin, gently first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def stop_all() -> None:
    """End every plugin without waiting: the host itself ends."""
    for process in tuple(_running):
        process.terminate()
