"""Encrypted connections to real servers, set up as the components do: who is let in, who is not, and a renewal."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from components import _tls, postgres, redis
from components.workload import Port
from infra import images
from tests.authority import Authority
from tests.services import servers

SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # postgresql.org, Message Formats, SSLRequest


@dataclass
class Encrypted:
    """Both servers with one certificate for `localhost`, in the folder that is their secrets' volume."""

    folder: Path
    authority: Authority
    serial: int
    postgres: servers.Server
    redis: servers.Server
    reload: tuple[str, ...]

    def environment(self, tmp_path: Path, ca: Path) -> dict[str, str]:
        own = servers.environment(tmp_path, self.postgres.port, self.redis.port)
        checked = {f"NEXUS_{name}_CA_FILE": str(ca) for name in ("POSTGRES", "REDIS")}
        return {**own, **checked, "NEXUS_POSTGRES_HOST": "localhost", "NEXUS_REDIS_HOST": "localhost"}

    def shown(self, server: servers.Server) -> int:
        """The serial number of the certificate that a server shows, checked as a client checks it."""
        trust = ssl.create_default_context(cafile=str(self.authority.root))
        with socket.create_connection(("127.0.0.1", server.port), 5) as plain:
            if server is self.postgres:
                plain.sendall(SSL_REQUEST)
                assert plain.recv(1) == b"S"
            with trust.wrap_socket(plain, server_hostname="localhost") as wrapped:
                return int(str((wrapped.getpeercert() or {})["serialNumber"]), 16)

    def renew(self) -> None:
        """As the files' volume is filled and the servers are told, while they run."""
        self.serial = self.authority.issue(self.folder / "new.pem", "localhost")
        _owned(self.folder / "new.pem").replace(self.folder / _tls.CERTIFICATE)
        assert self.postgres.process
        self.postgres.process.send_signal(signal.SIGHUP)
        subprocess.run(self.reload, check=True)


def _owned(file: Path) -> Path:
    """A file as it is in a container: its server's alone."""
    file.chmod(0o400)
    if os.getuid() == 0:
        shutil.chown(file, "nobody", "nogroup")
    return file


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Encrypted]:
    servers.install_missing()
    folder = Path(tempfile.mkdtemp(prefix="nexus-encrypted-"))
    folder.chmod(0o777)
    authority = Authority(folder)
    serial = authority.issue(folder / _tls.CERTIFICATE, "localhost")
    _owned(folder / _tls.CERTIFICATE)
    (folder / _tls.AUTHORITY).chmod(0o444)
    sql, cache, reload = sql_server(folder), *redis_server(folder)
    made = Encrypted(folder, authority, serial, sql, cache, reload)
    try:
        for server in (sql, cache):
            server.start()
        yield made
    finally:
        for server in (cache, sql):
            server.stop()
        servers.remove(folder)


def sql_server(folder: Path) -> servers.Server:
    contract = images.contract("postgres").model_copy(update={"secrets": str(folder)})
    spec = postgres.PostgresSpec(stack="test", contract=contract, memory_mib=384, port=Port(container=5432, host=1))
    (folder / postgres.ACCESS_FILE).write_text(postgres.ACCESS)
    made = servers.postgres(folder)
    made.command += [part for key, value in postgres.encryption(spec).items() for part in ("-c", f"{key}={value}")]
    return made


def redis_server(folder: Path) -> tuple[servers.Server, tuple[str, ...]]:
    contract = images.contract("redis").model_copy(update={"secrets": str(folder)})
    made = servers.redis(folder)
    contract = contract.model_copy(update={"ports": {"redis": made.port}})
    spec = redis.RedisSpec(stack="test", contract=contract, memory_mib=128, users=())
    users = redis.acl((), {}, renewer="renewal-word")
    assert redis.NOBODY in users
    somebody = f"user default on >{servers.SECRETS['redis']} ~* &* +@all"
    (folder / redis.USERS).write_text(users.replace(redis.NOBODY, somebody))
    (folder / redis.RENEWER_PASSWORD).write_text("renewal-word")
    lines = ["bind 127.0.0.1", f"dir {folder}", 'save ""', f"aclfile {folder / redis.USERS}"]
    (folder / "redis.conf").write_text("\n".join([*lines, *redis.encryption(spec), ""]))
    _, (shell, flag, script) = redis.asked(contract, encrypted=True)
    return made, (
        shell,
        flag,
        script.replace("redis-cli", f"redis-cli -p {made.port}").replace("/tmp/users", f"{folder}/users"),
    )


@pytest.fixture
async def migrated(encrypted: Encrypted) -> None:
    trust = ssl.create_default_context(cafile=str(encrypted.authority.root))
    connection = await connect(encrypted, trust)
    await connection.execute(servers.TABLES)
    await connection.close()


async def connect(encrypted: Encrypted, trust: Any) -> asyncpg.Connection:
    where = {"host": "localhost", "port": encrypted.postgres.port, "user": "nexus", "database": "nexus"}
    return await asyncpg.connect(**where, password=servers.SECRETS["postgres"], ssl=trust)


Run = Callable[[dict[str, str]], servers.Service]


@pytest.mark.usefixtures("migrated")
def test_a_service_works_with_servers_that_prove_their_names_also_while_they_are_renewed(
    encrypted: Encrypted, run: Run, tmp_path: Path
) -> None:
    service = run(encrypted.environment(tmp_path, encrypted.authority.root))
    servers.eventually(lambda: service.status("/ready") == 200, 10, f"ready: {service.output}")
    before = encrypted.serial
    for server in (encrypted.postgres, encrypted.redis):
        assert encrypted.shown(server) == before
    with httpx.Client(base_url=service.url, timeout=5) as client:
        for number in range(30):
            if number == 15:
                encrypted.renew()
            made = client.post("/items", json={"name": f"item {number}"})
            assert made.status_code == 201, made.text
            assert client.get(f"/items/{made.json()['id']}").status_code == 200
    assert encrypted.serial != before
    for server in (encrypted.postgres, encrypted.redis):
        servers.eventually(lambda server=server: encrypted.shown(server) == encrypted.serial, 5, "the new certificate")


def test_a_service_refuses_servers_of_another_authority(encrypted: Encrypted, run: Run, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    service = run(encrypted.environment(tmp_path, other.root))
    answer = httpx.get(f"{service.url}/ready", timeout=10)
    assert answer.status_code == 503
    states = answer.json()["dependencies"]
    assert set(states) == {"postgres", "redis"}
    for name, state in states.items():
        assert "certificate verify failed" in state["error"], name


def test_a_service_refuses_a_server_of_another_name(encrypted: Encrypted, run: Run, tmp_path: Path) -> None:
    named = encrypted.environment(tmp_path, encrypted.authority.root)
    service = run({**named, "NEXUS_POSTGRES_HOST": "127.0.0.1", "NEXUS_REDIS_HOST": "127.0.0.1"})
    states = httpx.get(f"{service.url}/ready", timeout=10).json()["dependencies"]
    for name in ("postgres", "redis"):
        assert "IP address mismatch" in states[name]["error"], states


async def test_who_does_not_encrypt_is_refused(encrypted: Encrypted) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await connect(encrypted, False)
    with socket.create_connection(("127.0.0.1", encrypted.redis.port), 5) as plain:
        plain.sendall(b"PING\r\n")
        with suppress(ConnectionResetError):
            assert not plain.recv(100), "it is not answered"


def test_only_the_renewer_may_change_a_setting_and_it_may_nothing_else(encrypted: Encrypted) -> None:
    def ask(*words: str) -> str:
        command = ["redis-cli", "-p", str(encrypted.redis.port), "--tls", "--cacert", str(encrypted.authority.root)]
        return subprocess.run(
            [*command, "--no-auth-warning", *words], capture_output=True, text=True, check=True
        ).stdout

    assert "NOPERM" in ask("--user", "health", "--pass", "none", "config", "set", "dir", "/")
    assert "NOAUTH" in ask("--user", redis.RENEWER, "--pass", "none", "ping")
    assert "NOPERM" in ask("--user", redis.RENEWER, "--pass", "renewal-word", "config", "get", "dir")
    assert "NOPERM" in ask("--user", redis.RENEWER, "--pass", "renewal-word", "get", "x")


def test_a_ca_file_that_is_not_there_ends_the_start_with_its_name(tmp_path: Path) -> None:
    environment = {**servers.environment(tmp_path, 1), "NEXUS_POSTGRES_CA_FILE": str(tmp_path / "nowhere.pem")}
    done = subprocess.run(
        ["python3", "-m", "services.reference"],
        env={"PATH": f"{servers.ROOT / '.venv/bin'}:{os.environ['PATH']}", **environment},
        cwd=servers.ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0
    assert "NEXUS_POSTGRES_CA_FILE" in done.stdout + done.stderr
    assert "no such file" in done.stdout + done.stderr
