"""Runs a stand-in's program the way its container would, and the real Elasticsearch and Prometheus beside it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from infra import images
from ops import image_builder
from tests.ports import free_port

#: A busy machine may take this long to start a virtual machine and a server in it.
START_SECONDS = 300


def eventually(ask: Callable[[], Any], within: float = 15.0) -> Any:
    """The first true answer; a refused connection is none."""
    end = time.monotonic() + within
    while True:
        try:
            answer = ask()
        except httpx.TransportError as error:
            answer, said = None, error
        else:
            said = answer
        if answer:
            return answer
        assert time.monotonic() < end, f"still {said!r} after {within} s"
        time.sleep(0.05)


class Process:
    """A program with a log, reached by HTTP."""

    def __init__(
        self, argv: Sequence[str], folder: Path, port: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.argv, self.log = list(argv), folder / "log"
        self.environment = {"PATH": os.environ["PATH"], **(environment or {})}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, path: str) -> Process:
        """Started, and once ``path`` is answered."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        eventually(lambda: self._alive() and self.client.get(path))
        return self

    def _alive(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        return True

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(5)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.client.close()


class Server:
    """A real server in a container on the host's network, as its contract has it."""

    def __init__(self, engine: Any, kind: str, argv: Sequence[str], environment: Mapping[str, str], path: str) -> None:
        image_builder.ensure([kind], images.LOCAL, lambda _: None)
        contract = images.contract(kind)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.container = engine.containers.run(
            images.reference(kind, images.LOCAL),
            [part.replace("PORT", str(self.port)) for part in argv],
            detach=True,
            user=contract.user,
            environment={
                k: v.replace("PORT", str(self.port)) for k, v in {**contract.environment, **environment}.items()
            },
            network_mode="host",
            tmpfs={**contract.tmpfs, str(contract.data): f"uid={contract.uid},gid={contract.gid}"},
            labels={"nexus.test": "standins"},
        )
        self.client = httpx.Client(base_url=self.url, timeout=20)
        try:
            eventually(lambda: self.client.get(path).status_code == 200, START_SECONDS)
        except AssertionError:
            self.close()
            raise

    def close(self) -> None:
        self.client.close()
        self.container.remove(force=True, v=True)
