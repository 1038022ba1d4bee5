"""Upstream servers for the gateway: they tell what they received, and misbehave on request."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo:
    """An HTTP/1.1 server, on 127.0.0.1 if not told otherwise, that answers every request with a JSON description of it.

    ``status`` and ``delay`` (seconds) apply to all requests, ``probe_status`` to /probe; ``hits`` counts requests other
    than probes. Paths: /stream sends two chunks 0.3 s apart, /socket upgrades to WebSocket and echoes bytes.
    """

    def __init__(self, port: int, name: str = "echo", host: str = "127.0.0.1") -> None:
        self.name, self.port, self.host = name, port, host
        self.status = self.probe_status = 200
        self.delay = 0.0
        self.hits = self.probes = 0
        self.headers: dict[str, str] = {}
        echo = self

        class Handler(_Handler):
            owner = echo

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def target(self) -> str:
        return f"{self.host}:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Echo
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        echo, path = self.owner, urlsplit(self.path).path
        body = self._body()
        if path == "/probe":
            echo.probes += 1
            self._send(echo.probe_status, b"{}")
            return
        echo.hits += 1
        time.sleep(echo.delay)
        if path == "/socket":
            self._websocket()
        elif path == "/stream":
            self._stream()
        else:
            self._send(echo.status, json.dumps(self._describe(body)).encode())

    def _describe(self, body: bytes) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return {
            "server": self.owner.name,
            "method": self.command,
            "path": self.path,
            "headers": headers,
            "body": body.decode(),
        }

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            out = b""
            while size := int(self.rfile.readline(), 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return out
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.owner.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"one", b"two"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            time.sleep(0.3)
        self.wfile.write(b"0\r\n\r\n")

    def _websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + WEBSOCKET_GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(4096):
            self.connection.sendall(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True


def upgrade(port: int, path: str) -> socket.socket:
    """A WebSocket handshake through the gateway; the open connection after it."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    return connection
