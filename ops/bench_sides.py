"""The two ways to start the containers that `nexus bench` compares: the project's verbs, and a Compose project."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ops import objects, status
from ops.bench_report import ASKED, COMPOSE, OURS
from ops.errors import Failure
from ops.objects import CONTAINER, NETWORK, VOLUME, Object
from ops.paths import ROOT

PROJECT = "nexus-bench"
LABEL = f"com.docker.compose.project={PROJECT}"
#: Seconds one start or stop may take before the run is given up.
LIMIT = 600


class Side(Protocol):
    """One way to start the containers."""

    name: str

    def up(self) -> None:
        """Start everything; returns when all are healthy."""

    def down(self) -> None:
        """Remove everything, data too; harmless when nothing is there."""

    def containers(self) -> list[str]:
        """Ids of the running containers."""
        ...


@dataclass
class Ours:
    """The project's own verbs, each as a command of its own, as people run them."""

    stack: str
    log: Path
    source: str | None = None
    name: str = OURS

    def up(self) -> None:
        """`./nexus up`."""
        self._verb("up", self.stack)

    def down(self) -> None:
        """`./nexus down`."""
        self._verb("down", self.stack, "--yes")

    def containers(self) -> list[str]:
        """By the stack's label."""
        with objects.connect() as client:
            return [found["Id"] for found in objects.inspect(client, self.stack)]

    def _verb(self, *arguments: str) -> None:
        source = ["--source", self.source] if self.source else []
        call([str(ROOT / "nexus"), *arguments, *source], self.log)


@dataclass
class Composed:
    """The Compose project. ``wait``: Compose itself waits until all are healthy; else their checks are asked here."""

    command: list[str]
    file: Path
    log: Path
    wait: bool = True
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = COMPOSE if self.wait else ASKED

    def up(self) -> None:
        """`docker compose up`."""
        self._compose("up", *(["--wait"] if self.wait else ["--detach"]), "--pull", "never")
        if not self.wait:
            self._ask()

    def down(self) -> None:
        """`docker compose down` with volumes."""
        self._compose("down", "--volumes", "--timeout", "10")

    def containers(self) -> list[str]:
        """By Compose's label."""
        with objects.connect() as client:
            return [found["Id"] for found in client.api.containers(filters={"label": LABEL})]

    def _ask(self) -> None:
        with objects.connect() as client, ThreadPoolExecutor(8) as pool:
            left = [client.api.inspect_container(identity) for identity in self.containers()]
            end = time.monotonic() + LIMIT
            while left and time.monotonic() < end:
                answers = list(pool.map(lambda one: status.asked(one, client), left))
                left = [one for one, answered in zip(left, answers, strict=True) if not answered]
                time.sleep(0.1 if left else 0)
        if left:
            raise Failure("the Compose project did not become healthy", left[0]["Name"], f"see {self.log}")

    def _compose(self, *arguments: str) -> None:
        call([*self.command, "-p", PROJECT, "-f", str(self.file), *arguments], self.log)


def call(command: list[str], log: Path) -> None:
    """Run a command with its output in ``log``; raises Failure with its last lines."""
    with log.open("ab") as stream:
        stream.write(f"\n$ {' '.join(command)}\n".encode())
        stream.flush()
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            raise Failure(
                f"{Path(command[0]).name} took longer than {LIMIT} s", " ".join(command), f"see {log}"
            ) from None
    if done.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failure(f"{' '.join(command[:3])} failed with exit code {done.returncode}", last, f"see {log}")


def sweep() -> None:
    """Remove what a killed run left of the Compose project; needs neither Compose nor its file."""
    filters = {"label": LABEL}
    with objects.connect() as client:
        left = [Object(CONTAINER, found["Id"], "", "") for found in client.api.containers(all=True, filters=filters)]
        left += [Object(NETWORK, found["Id"], "", "") for found in client.api.networks(filters=filters)]
        volumes = client.api.volumes(filters=filters).get("Volumes") or []
        for item in left + [Object(VOLUME, found["Name"], found["Name"], "") for found in volumes]:
            objects.remove(client, item)
