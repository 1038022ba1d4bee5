"""A PostgreSQL server of the test's own, in a temporary directory."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from ops import debian
from tests.standins.gateway import free_port

PASSWORD = "a'quote \\ and spaces"


class Database:
    """Starts, stops and restarts `postgres`; everything is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.binaries = _binaries()
        self.root = os.geteuid() == 0
        if self.root:  # the server refuses to run as root
            shutil.chown(folder, "postgres")
        (folder / "password").write_text(PASSWORD)
        folder.chmod(0o755)
        self._run(
            "initdb", "-D", self.data, "-U", "kong", "--pwfile", str(folder / "password"), "-A", "scram-sha-256", "-N"
        )

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def settings(self) -> dict[str, str]:
        """The gateway's environment for this server; the password comes as a file."""
        return {
            "KONG_DATABASE": "postgres",
            "KONG_PG_HOST": "127.0.0.1",
            "KONG_PG_PORT": str(self.port),
            "KONG_PG_USER": "kong",
            "KONG_PG_DATABASE": "postgres",
            "KONG_PG_PASSWORD_FILE": str(self.folder / "password"),
        }

    def start(self, more: str = "") -> None:
        """``more`` are options of the server."""
        options = f"{more} -p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off -c shared_buffers=16MB"
        self._run("pg_ctl", "-D", self.data, "-l", str(self.folder / "log"), "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    @contextmanager
    def another_password(self, password: str) -> Iterator[None]:
        """The login and the file have it meanwhile; all who were connected have to connect again."""
        self._login(PASSWORD, password)
        try:
            yield
        finally:
            self._login(password, PASSWORD)

    def _login(self, old: str, new: str) -> None:
        async def change() -> None:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=self.port, user="kong", password=old, database="postgres"
            )
            quoted = new.replace("'", "''")
            await connection.execute(f"alter role kong password '{quoted}'")
            others = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kong'"
            await connection.execute(f"{others} and pid <> pg_backend_pid()")
            await connection.close()

        asyncio.run(change())
        (self.folder / "password").write_text(new)

    def _run(self, name: str, *arguments: str) -> None:
        user = pwd.getpwnam("postgres").pw_uid if self.root else None
        subprocess.run(
            [self.binaries / name, *arguments], user=user, cwd="/", check=True, timeout=60, stdout=subprocess.DEVNULL
        )


def _binaries() -> Path:
    def found() -> list[Path]:
        return sorted(Path("/usr/lib/postgresql").glob("*/bin"))

    if not found() and debian.is_root_on_debian():
        debian.install(["postgresql-15"], lambda _line: None)
    assert found(), "these tests need PostgreSQL's server: apt-get install postgresql-15"
    return found()[-1]
