"""The build host's own Debian mirror, lent to image builds.

A build asks for a reserved address through a proxy on 127.0.0.1 that lives as long as the build. It fetches each file
with the host's apt (its sources, proxy, credentials and certificates), so none of these is copied into an image, a
layer or a build log. What is fetched stays trustworthy: apt and debootstrap check Debian's signatures.
"""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from ops.errors import MACHINE, Failure

Report = Callable[[str], None]
#: What recipes name, whatever mirror the host uses: a reserved name (RFC 2606), answered by the relay alone.
MIRROR = "http://debian.invalid/debian"
RELEASE = "bookworm"
_HELPER = Path("/usr/lib/apt/apt-helper")


def install(packages: list[str], report: Report) -> None:
    """Installs Debian packages on this machine (root on Debian only: the caller has checked)."""
    report(f"installing {', '.join(packages)} from Debian")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", "-qq", *step], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(
            f"apt-get could not install {' '.join(packages)}",
            "\n".join(done.stderr.strip().splitlines()[-5:]),
            f"run `apt-get update && apt-get install {' '.join(packages)}` and read what it says",
            MACHINE,
        )


def is_root_on_debian() -> bool:
    """Whether this process may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()


def apt_options() -> str:
    """What the host's apt is told about the age of its mirror (frozen mirrors need it), as apt-get arguments."""
    names = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
    listed = _output(["apt-config", "dump", "--format", "%f=%v%n", *names]).split()
    return " ".join(f"-o {item}" for item in listed if item.startswith(names))


def mirrors() -> dict[str, str]:
    """Reserved address -> the host's mirror of it, from the host's own sources. Raises Failure where it has none."""
    found: dict[str, str] = {}
    lines = _output(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"])
    for line in lines.splitlines():
        release, _, address = line.partition(" ")
        if release == RELEASE:
            found[f"{MIRROR}/"] = address
        elif release == f"{RELEASE}-security":
            found[f"{MIRROR}-security/"] = address
    if f"{MIRROR}/" not in found:
        raise Failure(
            f"this machine's apt has no source for Debian {RELEASE}",
            "the base image is made from the packages of the machine's own mirror",
            f"add Debian {RELEASE} to /etc/apt/sources.list and run `apt-get update`, or use --source upstream",
            MACHINE,
        )
    return found


@contextmanager
def relay() -> Iterator[str]:
    """A proxy on 127.0.0.1 that answers the reserved addresses from the host's mirror; yields its address."""
    table = mirrors()
    with tempfile.TemporaryDirectory(prefix="nexus-relay-") as scratch:
        handler = type("Relay", (_Relay,), {"settings": SimpleNamespace(table=table, scratch=Path(scratch))})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


class _Relay(http.server.BaseHTTPRequestHandler):
    settings: SimpleNamespace
    protocol_version = "HTTP/1.1"
    _names = threading.Lock()
    _count = 0

    def do_GET(self) -> None:
        address = self._translate(self.path)
        if address is None:
            self.send_error(403, "not a Debian address")
            return
        with self._names:
            type(self)._count += 1
            target = self.settings.scratch / str(type(self)._count)
        status = _fetch(address, target)
        if status != 200:
            self.send_error(status)
            return
        try:
            self._send(target)
        finally:
            target.unlink()

    def _translate(self, path: str) -> str | None:
        for public, mirror in self.settings.table.items():
            if path.startswith(public):
                return mirror + path.removeprefix(public)
        return None

    def _send(self, file: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()
        with file.open("rb") as content:
            shutil.copyfileobj(content, self.wfile)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the build's own log tells."""


def _fetch(address: str, target: Path) -> int:
    """Downloads with the host's apt, or plainly where there is none; the HTTP status to answer with."""
    if _HELPER.exists():
        command = [str(_HELPER), "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root", "download-file"]
        done = subprocess.run([*command, address, str(target)], capture_output=True, text=True, check=False)
        if target.exists():
            return 200
        return 404 if "404" in done.stderr + done.stdout else 502
    import httpx

    try:
        with httpx.stream("GET", address, follow_redirects=True, timeout=60) as answer, target.open("wb") as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
            return answer.status_code
    except httpx.HTTPError:
        return 502


def _output(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
