"""A Redis server for the gateway's counters, with the user that the platform gives the gateway."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from components.redis import RATE_LIMITING, RATE_LIMITING_KEYS
from tests.ports import free_port
from tests.standins.gateway import eventually

BINARY = Path("/usr/bin/redis-server")
PASSWORD = "counting-S3cret"
#: The gateway's user as the platform makes it, and one that sees all.
USERS = f"""\
user default off
user kong on >{PASSWORD} ~{RATE_LIMITING_KEYS}* {RATE_LIMITING}
user test on nopass ~* &* +@all
"""


class Counters:
    """One server of its own; ``settings`` is what a plugin's configuration says about it."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        """With a file of key and certificate, it takes encrypted connections and no others."""
        self.port = free_port()
        (folder / "users.acl").write_text(USERS)
        listening = ["--port", str(self.port)]
        if certificate:
            held = ["--tls-cert-file", certificate, "--tls-key-file", certificate, "--tls-ca-cert-file", certificate]
            listening = ["--port", "0", "--tls-port", str(self.port), *held, "--tls-auth-clients", "no"]
        self.process = subprocess.Popen(
            [BINARY, *listening, "--save", "", "--aclfile", folder / "users.acl", "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
        )
        eventually(self._listens, 10)

    @property
    def settings(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "username": "kong", "password": PASSWORD, "timeout": 500}

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def ask(self, *words: str) -> str:
        """The server's answer to one command, as redis-cli prints it."""
        command = ["redis-cli", "-p", str(self.port), "--user", "test", "--pass", "any", "--no-auth-warning", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(5)
