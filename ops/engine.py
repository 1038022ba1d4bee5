"""The Docker engine: found, or installed and started where this machine allows it; otherwise exactly what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import debian
from ops.errors import MACHINE, Failure

Report = Callable[[str], None]
#: Debian 12's engine; networks' health-gated starts and `init` are all there from this version on.
OLDEST = (20, 10)
SOCKET = "unix:///var/run/docker.sock"
#: Seconds a started engine may take to answer: 2 to 4 on two cores, more with thousands of containers to restore.
START_TIMEOUT = 60.0
#: Seconds it may take to stop: it gives containers 10 to do so.
STOP_TIMEOUT = 30.0
#: Where the engine that this program started leaves its log and process id; root's alone, as the engine is.
RUN = Path("/run/nexus")


@dataclass(frozen=True)
class EngineInfo:
    """The engine that answered: its version, where its images are, and the address asked."""

    version: str
    root: str
    address: str


@dataclass(frozen=True)
class Daemon:
    """How an engine is started where no service manager does it: its command and where its files go."""

    command: tuple[str, ...] = ("dockerd",)
    run: Path = RUN
    address: str = SOCKET


def ensure(report: Report) -> EngineInfo:
    """The engine of the environment (DOCKER_HOST), started if it is this machine's own and down. Raises Failure."""
    address = os.environ.get("DOCKER_HOST") or SOCKET
    try:
        return probe(address)
    except Failure as problem:
        if address != SOCKET or _refused(problem) or not debian.is_root_on_debian():
            raise
    if shutil.which("dockerd") is None:
        debian.install(["docker.io", "iptables"], report)
    return start(report)


def probe(address: str) -> EngineInfo:
    """Asks the engine at ``address`` what it is. Raises Failure: not there, not permitted, too old."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.DockerClient(base_url=address, timeout=10, tls=_tls())
    except DockerException as error:
        raise unreachable(str(error), address) from None
    try:
        info = client.info()
    except (DockerException, OSError) as error:
        raise unreachable(str(error), address) from None
    finally:
        client.close()
    version = info.get("ServerVersion", "")
    if _numbers(version) < OLDEST:
        raise Failure(
            f"the Docker engine is too old: {version or 'it names no version'}",
            f"{address} answers, but {OLDEST[0]}.{OLDEST[1]} or later is needed",
            "upgrade it (https://docs.docker.com/engine/install), or point DOCKER_HOST to a newer one",
            MACHINE,
        )
    return EngineInfo(version, info.get("DockerRootDir", ""), address)


def unreachable(why: str, address: str = "") -> Failure:
    """The Failure for an engine that does not answer: not permitted, or not there."""
    address = address or os.environ.get("DOCKER_HOST") or SOCKET
    if "permission denied" in why.lower():
        return Failure(
            f"no permission to use the Docker engine at {address}",
            "its socket belongs to root and the group docker",
            "`sudo usermod -aG docker $USER`, log in again, then run the command again; or run it as root",
            MACHINE,
        )
    if address != SOCKET:
        remedy = "start it there, or unset DOCKER_HOST to use this machine's own engine"
    elif shutil.which("dockerd"):
        remedy = "start it: `sudo systemctl start docker`, or run this command as root"
    else:
        remedy = (
            "install one: https://docs.docker.com/engine/install (Debian: `sudo apt-get install docker.io iptables`)"
        )
    return Failure(f"the Docker engine at {address} does not answer", _short(why), remedy, MACHINE)


def start(report: Report, daemon: Daemon | None = None, managed: bool | None = None) -> EngineInfo:
    """Starts this machine's engine and waits until it answers. Raises Failure with the end of its log."""
    daemon = daemon or Daemon()
    managed = Path("/run/systemd/system").is_dir() if managed is None else managed
    report("starting the Docker engine")
    process = _through_systemd() if managed else _detached(daemon)
    began = told = time.monotonic()
    while True:
        try:
            found = probe(daemon.address)
        except Failure as problem:
            waited = time.monotonic() - began
            if waited > START_TIMEOUT or (process and process.poll() is not None):
                raise _not_started(daemon, managed, problem) from None
        else:
            if process:
                process.returncode = 0  # never to be waited for: it outlives this command
            return found
        if time.monotonic() - told > 2:
            told = time.monotonic()
            report(f"waiting for the Docker engine ({waited:.0f} s)")
        time.sleep(0.2)


def started(daemon: Daemon | None = None) -> int | None:
    """The process id of an engine that this program has started and that still runs."""
    try:
        process = int(((daemon or Daemon()).run / "dockerd.pid").read_text())
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return process if b"dockerd" in command else None


def stop(process: int) -> None:
    """Stop the engine of that process id, and wait until it is gone; its containers stop with it."""
    import psutil

    with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        engine = psutil.Process(process)
        engine.terminate()
        engine.wait(STOP_TIMEOUT)


def _through_systemd() -> None:
    subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)


def _detached(daemon: Daemon) -> subprocess.Popen[bytes]:
    """In a session of its own, so that it outlives this command and the terminal."""
    daemon.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (daemon.run / "dockerd.log").open("ab") as log:
        return subprocess.Popen(
            [*daemon.command, "--host", daemon.address, "--pidfile", str(daemon.run / "dockerd.pid")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def _not_started(daemon: Daemon, managed: bool, problem: Failure) -> Failure:
    log = daemon.run / "dockerd.log"
    if managed or not log.exists():
        return Failure("the Docker engine did not start", problem.why, "read `journalctl -u docker`", MACHINE)
    last = "\n".join(log.read_text(errors="replace").strip().splitlines()[-6:])
    return Failure("the Docker engine did not start", last, f"the whole log is in {log}", MACHINE)


def _refused(problem: Failure) -> bool:
    """An engine that is there but not usable: starting another one would be wrong."""
    return "permission" in problem.what or "too old" in problem.what


def _tls() -> Any:
    """What DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for."""
    from docker.utils import kwargs_from_env

    return kwargs_from_env().get("tls", False)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _short(why: str) -> str:
    """The innermost reason: the HTTP library wraps it in three others."""
    for reason in ("No such file or directory", "Connection refused", "Name or service not known", "timed out"):
        if reason in why:
            return reason
    return why
