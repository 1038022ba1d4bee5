"""The official Pulumi release: downloaded, verified by checksum, unpacked."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from ops.errors import MACHINE, Failure

Report = Callable[[str], None]
#: Where releases are: BASE/v<version>/<file>. The environment variable is for mirrors, and for the tests.
VARIABLE = "NEXUS_PULUMI_DOWNLOADS"
OFFICIAL = "https://github.com/pulumi/pulumi/releases/download"
#: What the official file names call a machine.
MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
ATTEMPTS = 3
#: Seconds: to connect, and between two pieces of a download.
TIMEOUT = httpx.Timeout(30, connect=10)
CHUNK = 1 << 20
REMEDY = f"try again; behind a mirror set {VARIABLE}; without one use --source local, which compiles it"


def base() -> str:
    """The address releases are under."""
    return (os.environ.get(VARIABLE) or OFFICIAL).rstrip("/")


def mirror_of_plugins() -> str:
    """The server that plugins come from, empty for the official one."""
    return f"{base()}/plugins" if os.environ.get(VARIABLE) else ""


def archive(version: str) -> str:
    """The file name of a release for this machine."""
    machine = MACHINES.get(platform.machine().lower())
    system = platform.system().lower()
    if not machine or system not in {"linux", "darwin"}:
        raise Failure(
            f"there is no Pulumi release for {system} on {platform.machine()}",
            "there are releases for linux and darwin on x64 and arm64",
            "install the Pulumi CLI by hand and put it on PATH",
            MACHINE,
        )
    return f"pulumi-v{version}-{system}-{machine}.tar.gz"


def fetch(version: str, target: Path, report: Report) -> None:
    """Put the release's programs into ``target`` (a folder that appears when it is complete).

    Raises Failure when the server does not serve it, the download stays incomplete, or the checksum is another one.
    """
    name, address = archive(version), f"{base()}/v{version}"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as client:
            expected = _expected(client, f"{address}/pulumi-{version}-checksums.txt", name)
            found = _download(client, f"{address}/{name}", partial / name, report)
        if found != expected:
            raise Failure(
                f"{address}/{name} is not what was released: its SHA-256 is {found}, the release says {expected}",
                "a download whose checksum differs is damaged or was changed on its way, and is not used",
                REMEDY,
            )
        _unpack(partial / name, partial / "bin")
        if not target.exists():
            (partial / "bin").rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _expected(client: httpx.Client, url: str, name: str) -> str:
    text = _patiently(lambda: client.get(url).raise_for_status().text, url)
    found = re.search(rf"^([0-9a-f]{{64}})\s+\*?{re.escape(name)}$", text, re.MULTILINE)
    if not found:
        raise Failure(f"{url} has no SHA-256 for {name}", "a release without a checksum cannot be verified", REMEDY)
    return found.group(1)


def _download(client: httpx.Client, url: str, file: Path, report: Report) -> str:
    def once() -> str:
        digest, done, told = hashlib.sha256(), 0, 0.0
        with client.stream("GET", url) as answer, file.open("wb") as out:
            answer.raise_for_status()
            total = int(answer.headers.get("content-length", 0))
            for chunk in answer.iter_bytes(CHUNK):
                digest.update(chunk)
                out.write(chunk)
                done += len(chunk)
                if time.monotonic() - told > 1:
                    told = time.monotonic()
                    report(f"downloading {file.name}: {done >> 20} of {total >> 20 or '?'} MB")
        return digest.hexdigest()

    return _patiently(once, url)


def _patiently(action: Callable[[], str], url: str) -> str:
    """Try again when the network or the server fails for the moment; what the server refuses is final."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500 or attempt == ATTEMPTS:
                raise Failure(f"{url} answered {error.response.status_code}", "", REMEDY, MACHINE) from error
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise Failure(f"{url} could not be downloaded completely", str(error), REMEDY, MACHINE) from error
        time.sleep(0.2 * attempt)
    raise AssertionError("the last attempt returns or raises")


def _unpack(file: Path, folder: Path) -> None:
    """Take the programs out of the archive's ``pulumi/`` folder by their names alone: no path in it is followed."""
    folder.mkdir()
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content:
                    program = folder / Path(member.name).name
                    with program.open("wb") as out:
                        shutil.copyfileobj(content, out)
                    program.chmod(0o755)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Failure(f"{file.name} cannot be unpacked", str(error), REMEDY) from error
    if not (folder / "pulumi").is_file():
        raise Failure(f"{file.name} holds no program called pulumi", "", REMEDY)
