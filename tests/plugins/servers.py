"""The real servers the suite runs against, each on free ports and with nothing kept."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ports import free_port

STARTS_WITHIN = 30.0  # seconds
#: The token that may do everything, in servers that live as long as a test session and listen on the loopback alone.
TOKEN = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Server:
    """A server's address, who calls it, and a way to do by hand what a plugin should notice."""

    address: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """What the server lets do everything."""
        return next(iter(self.headers.values()), "")

    def as_(self, token: str | None) -> Server:
        """The same server called with another token, or without any."""
        return Server(self.address, dict.fromkeys(self.headers, token) if token else {})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=data,
            method=method,
            headers={"Content-Type": "application/json", **self.headers},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        try:
            return json.loads(text)
        except ValueError:
            return text.decode()


@contextmanager
def running(argv: list[str], env: dict[str, str], server: Server, ready: str) -> Iterator[Server]:
    """A process that answers `ready`; it ends with the block."""
    with tempfile.TemporaryFile() as log, subprocess.Popen(argv, env=env, stdout=log, stderr=log) as process:
        try:
            until = time.monotonic() + STARTS_WITHIN
            while not _answers(server, ready):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"{argv[0]} did not start: {log.read()[-2000:].decode()}")
                time.sleep(0.05)
            yield server
        finally:
            process.terminate()


def _answers(server: Server, path: str) -> bool:
    try:
        return server.call("GET", path) not in ("", '""')
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def consul(binary: Path, folder: Path) -> Iterator[Server]:
    """A development agent: one server, state in memory, nothing allowed without a token."""
    ports = {name: free_port() for name in ("http", "server", "serf-lan", "serf-wan")}
    tokens = {"initial_management": TOKEN, "agent": TOKEN}
    acl = {"enabled": True, "default_policy": "deny", "tokens": tokens}
    (folder / "acl.json").write_text(json.dumps({"acl": acl}))
    argv = [str(binary), "agent", "-dev", "-node", "conformance", "-bind", "127.0.0.1", "-log-level", "warn"]
    argv += [f"-{name}-port={port}" for name, port in ports.items()]
    argv += ["-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", f"-config-file={folder / 'acl.json'}"]
    server = Server(f"127.0.0.1:{ports['http']}", {"X-Consul-Token": TOKEN})
    with running(argv, {}, server, "/v1/acl/token/self") as server:
        yield server


@contextmanager
def vault(binary: Path, folder: Path) -> Iterator[Server]:
    """A development server: unsealed, state in memory."""
    address = f"127.0.0.1:{free_port()}"
    argv = [str(binary), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}", "-log-level=warn"]
    argv += [f"-dev-listen-address={address}"]
    with running(argv, {"HOME": str(folder)}, Server(address, {"X-Vault-Token": TOKEN}), "/v1/sys/mounts") as server:
        yield server


@contextmanager
def kong(binary: Path, folder: Path) -> Iterator[Server]:
    """The gateway's Admin API with its entities in memory."""
    admin = free_port()
    env = {
        "KONG_DATABASE": "memory",
        "KONG_PREFIX": str(folder),
        "KONG_ADMIN_LISTEN": f"127.0.0.1:{admin}",
        "KONG_PROXY_LISTEN": f"127.0.0.1:{free_port()}",
        "KONG_STATUS_LISTEN": f"127.0.0.1:{free_port()}",
        "PATH": "/usr/bin:/bin",
    }
    with running([str(binary), "docker-start"], env, Server(f"127.0.0.1:{admin}"), "/status") as server:
        yield server
