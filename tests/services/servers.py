"""Real PostgreSQL, Redis and reference-service processes for the tests: own directories, free ports, stopped by pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
PACKAGES = {"postgresql-15": POSTGRES_BIN / "postgres", "redis-server": Path("/usr/bin/redis-server")}
SECRETS = {"postgres": "pg-S3cret-never-logged", "redis": "rd-S3cret-never-logged"}


def install_missing() -> None:
    """Install the servers' packages when they are not there; their services are not started."""
    missing = [package for package, binary in PACKAGES.items() if not binary.exists()]
    if not missing:
        return
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "-y", *missing]):
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    finally:
        if ours:
            policy.unlink()


def eventually(check: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """Call ``check`` until it returns something true; return that. ``what`` is asked for, if it can be, at the end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := check():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")


def _plain_user() -> dict[str, Any]:
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@dataclass
class Server:
    """A server process that tests stop, hang and start again on the same port and data."""

    command: list[str]
    port: int
    log: Path
    said_when_ready: str = ""  # in its log, for a server that listens before it serves
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        before = len(self.log.read_text()) if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd="/", **_plain_user())
        eventually(self._listens, 15, lambda: f"{self.command[0]} listens: {self.log.read_text()[-2000:]}")
        if self.said_when_ready:
            eventually(lambda: self.said_when_ready in self.log.read_text()[before:], 30, f"{self.command[0]} is ready")

    def stop(self, number: int = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def hang(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def postgres(directory: Path) -> Server:
    """Prepare a cluster with user and database ``nexus``; scram authentication over TCP."""
    port, data, secret = free_port(), directory / "pg", directory / "pg-init"
    secret.write_text(SECRETS["postgres"])
    secret.chmod(0o644)
    init = [str(POSTGRES_BIN / "initdb"), "-D", str(data), "-U", "nexus", "-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([*init, "--no-sync", "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL, cwd="/", **_plain_user())
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories="
    command = [str(POSTGRES_BIN / "postgres"), "-D", str(data), *options.split()]
    server = Server(command, port, directory / "pg.log", "database system is ready to accept connections")
    single = [str(POSTGRES_BIN / "postgres"), "--single", "-D", str(data), "postgres"]
    made = b"create database nexus"
    subprocess.run(single, input=made, check=True, stdout=subprocess.DEVNULL, cwd="/", **_plain_user())
    return server


def redis(directory: Path) -> Server:
    """Prepare a Redis with a password and nothing on disk but its configuration."""
    port, configuration = free_port(), directory / "redis.conf"
    lines = ["bind 127.0.0.1", f"port {port}", f"requirepass {SECRETS['redis']}", 'save ""', f"dir {directory}"]
    configuration.write_text("\n".join(lines) + "\n")
    configuration.chmod(0o644)
    return Server(["/usr/bin/redis-server", str(configuration)], port, directory / "redis.log")


@dataclass
class Service:
    """The reference service as its own process, with what it wrote."""

    environment: dict[str, str]
    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return (self.directory / f"service-{self.port}.log").read_text()

    def start(self) -> Service:
        environment = {"PATH": os.environ["PATH"], "NEXUS_PORT": str(self.port), "NEXUS_BIND": "127.0.0.1"}
        with (self.directory / f"service-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.reference"],
                env={**environment, **self.environment},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self.status("/health") == 200, 15, "the service answers")
        return self

    def status(self, path: str) -> int:
        try:
            return httpx.get(self.url + path, timeout=5).status_code
        except httpx.TransportError:
            assert self.process is not None
            assert self.process.poll() is None, self.output
            return 0

    def stop(self) -> int:
        """Ask for a stop and return the exit code."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return process.wait(15)


def secret_files(directory: Path) -> dict[str, Path]:
    """Write the passwords the way a container gets them."""
    files = {name: directory / f"{name}-password" for name in SECRETS}
    for name, file in files.items():
        file.write_text(SECRETS[name] + "\n")
    return files


def environment(directory: Path, postgres_port: int | None = None, redis_port: int | None = None) -> dict[str, str]:
    """Build the service's environment for the servers given."""
    files = secret_files(directory)
    settings = {"NEXUS_SERVICE": "nexus-backend", "NEXUS_STACK": "test"}
    if postgres_port:
        settings |= {"NEXUS_POSTGRES_HOST": "127.0.0.1", "NEXUS_POSTGRES_PORT": str(postgres_port)}
        settings |= {"NEXUS_POSTGRES_PASSWORD_FILE": str(files["postgres"])}
    if redis_port:
        settings |= {"NEXUS_REDIS_HOST": "127.0.0.1", "NEXUS_REDIS_PORT": str(redis_port)}
        settings |= {"NEXUS_REDIS_PASSWORD_FILE": str(files["redis"])}
    return settings


async def admin(server: Server) -> asyncpg.Connection:
    """Connect to the database as a second client, next to the service."""
    where = {"host": "127.0.0.1", "port": server.port, "user": "nexus", "database": "nexus"}
    return await asyncpg.connect(**where, password=SECRETS["postgres"])


#: What the migrations make for the reference service (services/migrations).
TABLES = """
create table if not exists items (
    id uuid primary key,
    name text not null,
    value text not null,
    created_at timestamptz not null default now()
)
"""


async def migrate(server: Server) -> None:
    """Make the tables of the reference service."""
    connection = await admin(server)
    await connection.execute(TABLES)
    await connection.close()


async def cut_connections(connection: asyncpg.Connection) -> None:
    """End the service's sessions from the server's side."""
    query = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1"
    await connection.execute(query, "nexus-backend")


def remove(directory: Path) -> None:
    """Remove a scratch directory whose files may belong to another user."""
    shutil.rmtree(directory, ignore_errors=True)
