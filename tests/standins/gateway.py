"""Starts the Kong stand-in's binary the way its container would, and talks to it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port


def eventually(ask: Callable[[], Any], within: float = 5.0) -> Any:
    """The first true answer of ``ask``; fails with the last answer after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within} s"
        time.sleep(0.05)
    return answer


class Gateway:
    """One process of the stand-in with ports and a prefix of its own."""

    def __init__(self, binary: Path, folder: Path, **settings: str) -> None:
        self.binary, self.folder = binary, folder
        self.proxy_port, self.tls_port, self.admin_port = free_port(), free_port(), free_port()
        self.log = folder / "log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "KONG_DATABASE": "memory",
            "KONG_PREFIX": str(folder / "prefix"),
            "KONG_PROXY_LISTEN": f"127.0.0.1:{self.proxy_port} reuseport backlog=16384, "
            f"127.0.0.1:{self.tls_port} http2 ssl reuseport backlog=16384",
            "KONG_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "KONG_STATUS_LISTEN": "off",
            "KONG_DB_UPDATE_FREQUENCY": "1",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{self.admin_port}", timeout=10)
        self.proxy = httpx.Client(base_url=f"http://127.0.0.1:{self.proxy_port}", timeout=10)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another command of the binary with the same environment."""
        return subprocess.run(
            [self.binary, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def start(self) -> Gateway:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "docker-start"], env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        eventually(self._answers, 10)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.admin.get("/status").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """Ends the process in an orderly way; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(5)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.admin.close()
        self.proxy.close()

    def post(self, path: str, /, **fields: Any) -> dict[str, Any]:
        """Creates an entity and returns it."""
        answer = self.admin.post(path, json=fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def clear(self) -> None:
        """Removes all entities."""
        for kind in (
            "plugins",
            "routes",
            "services",
            "upstreams",
            "consumers",
            "snis",
            "certificates",
            "ca_certificates",
        ):
            for entity in self.admin.get(f"/{kind}?size=1000").json()["data"]:
                assert self.admin.delete(f"/{kind}/{entity['id']}").status_code == 204

    def lines(self) -> list[dict[str, Any]]:
        """The access log so far."""
        documents = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [d for d in documents if "request_id" in d]
