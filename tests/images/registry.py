"""A small image registry (the HTTP API V2 of the distribution specification) on 127.0.0.1, for one image at a time."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """``tags``: (repository, tag) -> manifest digest. ``failures``: how many manifests to answer with 500 first."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.lies: dict[str, bytes] = {}
        self.failures = 0
        self.token = ""
        self.requests: list[str] = []
        self.address = ""

    def push(self, client: Any, image_id: str, repository: str, tag: str) -> str:
        """Takes an image out of the engine (``docker save``) and serves it; its manifest's digest."""
        with tarfile.open(fileobj=io.BytesIO(b"".join(client.api.get_image(image_id)))) as saved:
            (row,) = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
            parts = [saved.extractfile(name).read() for name in (row["Config"], *row["Layers"])]  # type: ignore[union-attr]
        entries = [{"mediaType": LAYER, "size": len(part), "digest": sha256(part)} for part in parts]
        entries[0]["mediaType"] = CONFIG
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": entries[0], "layers": entries[1:]}
        manifest = json.dumps(document).encode()
        self.blobs |= {sha256(part): part for part in [*parts, manifest]}
        self.tags[repository, tag] = sha256(manifest)
        return sha256(manifest)


@contextmanager
def serve() -> Iterator[Registry]:
    registry = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            registry.requests.append(f"{self.command} {self.path}")
            if self.path.startswith("/token"):
                self.reply(200, json.dumps({"token": "secret-token"}).encode(), "application/json")
            elif registry.failures > 0 and "/manifests/" in self.path:
                registry.failures -= 1
                self.reply(500, b"")
            elif registry.token and self.headers.get("Authorization") != f"Bearer {registry.token}":
                self.send_response(401)
                realm = f"http://{registry.address}/token"
                self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="double",scope="pull"')
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif self.path == "/v2/":
                self.reply(200, b"{}", "application/json")
            else:
                self.serve_part()

        do_HEAD = do_GET  # noqa: N815

        def serve_part(self) -> None:
            repository, kind, reference = self.path.removeprefix("/v2/").rsplit("/", 2)
            digest = reference if ":" in reference else registry.tags.get((repository, reference), "")
            content = registry.lies.get(digest) or registry.blobs.get(digest)
            if content is None:
                code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
                message = {"errors": [{"code": code, "message": "manifest unknown"}]}
                self.reply(404, json.dumps(message).encode(), "application/json")
                return
            self.reply(200, content, MANIFEST if kind == "manifests" else "application/octet-stream", digest)

        def reply(self, status: int, content: bytes, kind: str = "text/plain", digest: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if digest:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registry.address = f"127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
