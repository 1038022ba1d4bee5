"""The three calls of the Docker Engine API that the healer makes, over the engine's socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

#: The oldest engine the project runs on, 20.10, speaks 1.41.
VERSION = "v1.41"


class EngineError(OSError):
    """The engine refused, with its status and words."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The engine behind a socket. Every method raises ``OSError`` when it is away, ``EngineError`` when it refuses."""

    def __init__(self, path: str = "/var/run/docker.sock", timeout: float = 60) -> None:
        self._path, self._timeout = path, timeout

    def containers(self, label: str) -> list[Mapping[str, Any]]:
        """Every container with ``label`` (``key=value``), running or not, as inspect shows it."""
        found = self._call("GET", "/containers/json", all="true", filters=json.dumps({"label": [label]}))
        shown = []
        for item in found:
            with suppress(EngineError):  # it was removed since it was listed
                shown.append(self._call("GET", f"/containers/{item['Id']}/json"))
        return shown

    def restart(self, container: str, grace: int) -> None:
        """Stop the container, killing it after ``grace`` seconds, and start it."""
        self._call("POST", f"/containers/{quote(container)}/restart", t=str(grace))

    def events(self, label: str, since: float, silence: float) -> Iterator[Mapping[str, Any]]:
        """Events of the labelled containers from ``since`` (seconds of the epoch) on, as they come.

        Raises ``TimeoutError`` after ``silence`` seconds of none.
        """
        filters = {"type": ["container"], "label": [label], "event": ["health_status", "die", "stop"]}
        connection, answer = self._open(
            "GET", "/events", silence, {"since": f"{since:.6f}", "filters": json.dumps(filters)}
        )
        try:
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def _call(self, method: str, path: str, **query: str) -> Any:
        connection, answer = self._open(method, path, self._timeout, query)
        try:
            body = answer.read()
            return json.loads(body) if body else None
        finally:
            connection.close()

    def _open(
        self, method: str, path: str, timeout: float, query: Mapping[str, str]
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        connection = _Connection(self._path, timeout)
        try:
            connection.request(method, f"/{VERSION}{path}?{urlencode(query)}")
            answer = connection.getresponse()
            words = answer.read(500).decode(errors="replace").strip() if answer.status >= 400 else ""
        except BaseException:
            connection.close()
            raise
        if answer.status >= 400:
            connection.close()
            raise EngineError(f"{method} {path}: {answer.status} {words}")
        return connection, answer
