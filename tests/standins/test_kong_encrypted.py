"""The gateway as a client of servers that encrypt: it checks them by what it is told to trust, as Kong does."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.standins.database import Database
from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway, eventually
from tests.standins.redis import Counters
from tests.standins.test_kong_ratelimits import fresh

CHECKED = {"KONG_PG_SSL": "on", "KONG_PG_SSL_REQUIRED": "on", "KONG_PG_SSL_VERIFY": "on"}


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    # Not pytest's own directory: that one is closed to the plain user the server runs as.
    with tempfile.TemporaryDirectory(prefix="nexus-authority-") as folder:
        Path(folder).chmod(0o755)
        yield Authority(Path(folder))


@pytest.fixture(scope="module")
def encrypted(authority: Authority) -> Iterator[Database]:
    """A PostgreSQL of the module's own, which takes encrypted connections alone."""
    with tempfile.TemporaryDirectory(prefix="nexus-postgres-") as folder:
        server = Database(Path(folder))
        held, access = Path(folder) / "server.pem", Path(folder) / "pg_hba.conf"
        authority.issue(held, "localhost")
        held.chmod(0o600)
        if server.root:
            shutil.chown(held, "postgres")
        access.write_text("hostssl all all all scram-sha-256\n")
        server.start(f"-c ssl=on -c ssl_cert_file={held} -c ssl_key_file={held} -c hba_file={access}")
        yield server
        server.stop()


def told(database: Database, folder: Path, binary: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """How a migration ends with these settings."""
    gateway = Gateway(binary, folder, **{**database.settings, "KONG_PG_HOST": "localhost", **settings})
    return gateway.command("migrations", "bootstrap")


def test_the_database_is_checked_by_its_name_and_what_is_trusted(
    encrypted: Database, authority: Authority, kong_binary: Path, tmp_path: Path
) -> None:
    own = {"KONG_LUA_SSL_TRUSTED_CERTIFICATE": f"system,{authority.root}"}
    other = {"KONG_LUA_SSL_TRUSTED_CERTIFICATE": str(Authority(tmp_path, "other").root)}
    done = told(encrypted, tmp_path, kong_binary, **CHECKED, **own)
    assert done.returncode == 0, done.stderr
    for settings, reason in (
        ({}, "no encryption"),
        (CHECKED, "unknown authority"),
        (CHECKED | other, "unknown authority"),
        (CHECKED | own | {"KONG_PG_HOST": "127.0.0.1"}, "127.0.0.1"),
        (CHECKED | {"KONG_LUA_SSL_TRUSTED_CERTIFICATE": "/nowhere.pem"}, "no such file at /nowhere.pem"),
    ):
        refused = told(encrypted, tmp_path, kong_binary, **settings)
        assert refused.returncode != 0, settings
        assert reason in refused.stdout + refused.stderr, settings
    unchecked = told(encrypted, tmp_path, kong_binary, KONG_PG_SSL="on")
    assert unchecked.returncode == 0, unchecked.stderr


def test_requests_are_counted_in_a_redis_that_proves_its_name(
    authority: Authority, kong_binary: Path, echo: Make, tmp_path: Path
) -> None:
    authority.issue(tmp_path / "redis.pem", "counters.test")
    counters = Counters(tmp_path, tmp_path / "redis.pem")
    gateway = Gateway(kong_binary, tmp_path, KONG_LUA_SSL_TRUSTED_CERTIFICATE=str(authority.root)).start()
    try:
        route(gateway, echo("a"), {"name": "svc"})
        checked = {**counters.settings, "ssl": True, "ssl_verify": True, "server_name": "counters.test"}
        strict = {"minute": 2, "policy": "redis", "fault_tolerant": False}
        made = gateway.post("/services/svc/plugins", name="rate-limiting", config={**strict, "redis": checked})
        fresh("minute")
        assert [gateway.proxy.get("/").status_code for _ in range(3)] == [200, 200, 429]
        for wrong in ({"server_name": "other.test"}, {"ssl": False}):
            config = {"config": {"redis": {**checked, **wrong}}}
            gateway.admin.patch(f"/plugins/{made['id']}", json=config).raise_for_status()
            eventually(lambda: gateway.proxy.get("/").status_code == 500, 3)
        assert "other.test" in gateway.log.read_text(), "the log says whose certificate it was not"
    finally:
        gateway.close()
        counters.stop()
