"""``nexus:index:Exec``: a command run inside a container until it succeeds, and again when an input changes.

The container is named, or it is the newest task of a Swarm service that is named.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import tasks
from engine import connect
from kind import Field, Kind, Properties, between, plain
from pulumi.provider.experimental.property_value import PropertyValue
from standby import relieve

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

#: The first attempts come fast, as most servers answer within a second; later ones spare the machine.
FIRST_PAUSE, LAST_PAUSE = 0.05, 0.5
#: A container that its restart policy has started this often will not get well by waiting.
HOPELESS_RESTARTS = 8
#: What of a command's output or a container's log an error shows.
TAIL_LINES = 15


class NotReadyError(Exception):
    """The command did not succeed in time; the text says what it printed last and what the container logged."""


class Exec(Kind):
    """The readiness gate, and the way a server is told its databases and roles: what depends on its id runs after it.

    Inputs: ``container``, ``containerId`` (a new container is asked anew), ``version`` (``container`` names a service
    of the swarm, which has to run in this version), ``command``, ``stdin``, ``timeout`` in seconds, ``triggers`` (any
    change of them runs the command again), ``pids`` (the container's processes and threads at most: the Docker plugin
    has no field for it), ``relieves`` (a container that stood in for this one while it was replaced, and may go now).
    """

    fields: ClassVar = {
        "container": Field(str, required=True),
        "containerId": Field(str, required=True),
        "version": Field(str),
        "command": Field((list, tuple), required=True, check=lambda value: None if value else "must name a command"),
        "stdin": Field(str),
        "triggers": Field(Mapping),
        "timeout": Field(float, default=120.0, check=between(1, 3600, "seconds")),
        "pids": Field(float, check=between(8, 32768, "processes")),
        "relieves": Field(str, compared=False),
    }

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Run the command until it succeeds."""
        wanted = {name: plain(value) for name, value in inputs.items()}
        if wanted.get("pids"):
            bound(wanted["container"], int(wanted["pids"]))
        stdin, version = wanted.get("stdin") or "", wanted.get("version") or ""
        execute(wanted["container"], wanted["command"], stdin, wanted["timeout"], version=version)
        if wanted.get("relieves"):
            relieve(wanted["relieves"])
        return {}


def bound(name: str, pids: int) -> None:
    """Limit the processes and threads of container ``name``; it keeps the limit over restarts."""
    with connect() as client:
        api = client.api
        answer = api.post(api._url("/containers/{0}/update", name), json={"PidsLimit": pids})
        if not answer.ok:
            raise NotReadyError(f"container {name} could not be limited to {pids} processes: {answer.text.strip()}")


def execute(name: str, command: list[str], stdin: str, timeout: float, *, version: str = "") -> None:
    """Run ``command`` in container ``name`` with ``stdin``, again and again, for at most ``timeout`` seconds.

    Raises ``NotReadyError``. The input is never part of a message: it may hold secrets.
    """
    from docker.errors import NotFound  # noqa: PLC0415

    with connect(timeout + 5) as client:
        find = partial(tasks.container, client, name, version) if version else partial(client.containers.get, name)
        try:
            last = repeat(find, command, stdin, timeout)
            if last is not None:
                raise NotReadyError(describe(find(), command, last, timeout, secret=stdin))
        except NotFound as error:
            raise NotReadyError(f"{'service' if version else 'container'} {name} does not exist") from error
        except tasks.NotRunningError as error:
            raise NotReadyError(f"{error}\n{failed(client, name)}") from error


def repeat(find: Callable[[], Container | None], command: list[str], stdin: str, timeout: float) -> str | None:
    """None once the command has succeeded; else, when its time is up, what it said last."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
    last = "the command was never started"
    while time.monotonic() < deadline:
        try:
            container = find()
            if container is None:  # it runs on other nodes only: Swarm itself has found it healthy there
                if stdin:
                    raise NotReadyError("its input cannot be given: the service runs on another node of the swarm")
                return None
            if container.attrs.get("RestartCount", 0) >= HOPELESS_RESTARTS:
                return last
            code, last = attempt(container, command, stdin)
        except (NotFound, tasks.HopelessError):
            raise
        except (APIError, tasks.NotRunningError) as error:  # not running at the moment: the next attempt may find it up
            code, last = 1, getattr(error, "explanation", None) or str(error)
        if code == 0:
            return None
        time.sleep(pause)
        pause = min(pause * 1.3, LAST_PAUSE)
    return last


def attempt(container: Container, command: list[str], stdin: str) -> tuple[int, str]:
    """One run: its exit code and what it printed."""
    if not stdin:
        result = container.exec_run(command)
        return result.exit_code, result.output.decode(errors="replace")
    api = container.client.api  # type: ignore[union-attr]
    exec_id = api.exec_create(container.id, command, stdin=True)["Id"]
    wrapped = api.exec_start(exec_id, socket=True)
    with closing(wrapped), closing(getattr(wrapped, "_sock", wrapped)) as raw:
        raw.sendall(stdin.encode())
        raw.shutdown(socket.SHUT_WR)
        output = read_frames(raw)
    return api.exec_inspect(exec_id)["ExitCode"], output


def read_frames(raw: socket.socket) -> str:
    """The output of an attached exec: frames of an 8-byte header (stream, length) and payload (Engine API, attach)."""
    data = b"".join(iter(lambda: raw.recv(65536), b""))
    text, at = b"", 0
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at + 4 : at + 8])
        text += data[at + 8 : at + 8 + length]
        at += 8 + length
    return text.decode(errors="replace")


def describe(container: Container | None, command: list[str], last: str, timeout: float, *, secret: str) -> str:
    """What a person needs to go on: the state, the last words of the command, and the log's end."""
    if container is None:
        return f"asked with: {' '.join(command)[:200]}; it answered: {last}"
    state = container.attrs["State"]
    log = container.logs(tail=TAIL_LINES).decode(errors="replace")
    lines = [
        f"container {container.name} was not ready after {timeout:.0f} s ({state['Status']}, "
        f"{container.attrs.get('RestartCount', 0)} restarts{', out of memory' if state.get('OOMKilled') else ''})",
        f"image: {', '.join(container.image.tags) if container.image else ''}",
        f"asked with: {' '.join(command)[:200]}",
        "it answered: " + "\n".join(last.strip().splitlines()[-TAIL_LINES:]),
        f"its log ends with:\n{log.strip()}",
        f"see all of it: docker logs {container.name}",
    ]
    text = "\n".join(lines)
    for line in secret.splitlines():  # psql, for one, repeats the line it could not run
        if len(line) > 8:
            text = text.replace(line.strip(), "[input]")
    return text


def failed(client: DockerClient, service: str) -> str:
    """The same of a service whose tasks do not run."""
    log = tasks.log(client, service, TAIL_LINES).strip()
    return f"the log of its last failed task ends with:\n{log}\nsee more: docker service ps --no-trunc {service}"
