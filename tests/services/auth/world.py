"""The provider as a process of its own, with a real Vault, PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from redis import Redis

from ops import artifacts
from services.migrations import runner
from services.migrations.settings import Settings, Target
from tests.oidc import Oidc
from tests.ports import free_port
from tests.services import servers

TOKEN = "root-of-the-tests"
SECRET_ID = "secret-id-of-the-tests"
KEY = "auth-signing"
ADMIN, OPERATOR, USER = "admin", "olga", "uma"
PASSWORDS = {ADMIN: "first-P4ssword-of-admin", OPERATOR: "first-P4ssword-of-olga", USER: "first-P4ssword-of-uma"}
CALLBACK, GOODBYE = "https://app.example/callback", "https://app.example/goodbye"
WEB_SECRET = "a-secret-that-a-machine-made-0001"
ROBOT_SECRET = "a-secret-that-a-machine-made-0002"
#: Long in production; short enough here to see a key in both states.
KEY_DELAY = 3
PROGRAM = "http://localhost:8765/callback"
OPENED: list[Oidc] = []
#: Each provider of a run has a database of its own.
NUMBERS = itertools.count(1)


def seed() -> dict[str, Any]:
    """Users and clients of the tests, as Vault holds them."""
    roles = {ADMIN: ["admin"], OPERATOR: ["operator"], USER: ["user"]}
    users = [
        {"username": name, "password": PASSWORDS[name], "roles": roles[name], "email": f"{name}@example.org"}
        for name in roles
    ]
    clients = [
        {"id": "nexus", "name": "Command line", "redirect_uris": [PROGRAM, "http://127.0.0.1/callback"]},
        {
            "id": "web",
            "name": "A <b>web</b> application",
            "secret": WEB_SECRET,
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": [GOODBYE],
        },
        {"id": "robot", "secret": ROBOT_SECRET, "grants": ["client_credentials"], "roles": ["operator"]},
    ]
    return {"users": json.dumps(users), "clients": json.dumps(clients)}


class Vault:
    """A development server: in memory, unsealed, with a known root token."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        binary = artifacts.build("vault", lambda _line: None)
        options = ["-dev", f"-dev-root-token-id={TOKEN}", f"-dev-listen-address=127.0.0.1:{self.port}"]
        with (directory / "vault.log").open("wb") as log:
            environment = {"HOME": str(directory), "VAULT_DISABLE_MLOCK": "true", "GOMAXPROCS": "1"}
            self.process = subprocess.Popen(
                [str(binary), "server", *options, "-dev-no-store-token"], stdout=log, stderr=log, env=environment
            )
        self.http = httpx.Client(base_url=f"{self.url}/v1/", headers={"X-Vault-Token": TOKEN}, trust_env=False)
        servers.eventually(self._answers, 20, "Vault answers")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else {}

    def role(self, name: str, policy: str) -> None:
        """An AppRole as the platform makes them: the role's id is its name, the secret id a known one."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        self.call("DELETE", f"auth/approle/role/{name}")
        self.call("POST", f"auth/approle/role/{name}", {"token_policies": [name], "token_period": "1h"})
        self.call("POST", f"auth/approle/role/{name}/role-id", {"role_id": name})
        self.call("POST", f"auth/approle/role/{name}/custom-secret-id", {"secret_id": SECRET_ID})

    def put(self, path: str, values: dict[str, Any]) -> None:
        self.call("POST", f"secret/data/{path}", {"data": values})

    def rotate(self) -> None:
        self.call("POST", f"transit/keys/{KEY}/rotate")

    def retire(self, below: int) -> None:
        """Have versions below a number no longer count."""
        self.call("POST", f"transit/keys/{KEY}/config", {"min_decryption_version": below})

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(10)

    def _answers(self) -> bool:
        try:
            return self.http.get("sys/health").status_code == 200
        except httpx.TransportError:
            return False


POLICY = f"""
path "secret/data/services/auth/*" {{ capabilities = ["read"] }}
path "transit/sign/{KEY}" {{ capabilities = ["update"] }}
path "transit/sign/{KEY}/*" {{ capabilities = ["update"] }}
path "transit/keys/{KEY}" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""


@dataclass
class World:
    """All servers of a run, and the settings that lead to them."""

    vault: Vault
    postgres: servers.Server
    redis: servers.Server
    directory: Path

    def environment(self, **settings: Any) -> dict[str, str]:
        """The settings of a provider with a database of its own."""
        files = servers.secret_files(self.directory)
        secret_id = self.directory / "secret-id"
        secret_id.write_text(SECRET_ID)
        number = next(NUMBERS)
        database = f"auth{number}"
        asyncio.run(self._database(database))
        lock = {"account_free": 5, "address_free": 1000, "first": 1, "longest": 8}
        own = {"path": "", "key_delay_seconds": KEY_DELAY, "seed_refresh_seconds": 0.2, "lock": lock, **settings}
        return {
            "NEXUS_SERVICE": "auth",
            "NEXUS_STACK": "test",
            "NEXUS_ROLE": "auth",
            "NEXUS_VAULT_ADDRESS": self.vault.url,
            "NEXUS_VAULT_SECRET_ID_FILE": str(secret_id),
            "NEXUS_POSTGRES_HOST": "127.0.0.1",
            "NEXUS_POSTGRES_PORT": str(self.postgres.port),
            "NEXUS_POSTGRES_DATABASE": database,
            "NEXUS_POSTGRES_PASSWORD_FILE": str(files["postgres"]),
            "NEXUS_REDIS_HOST": "127.0.0.1",
            "NEXUS_REDIS_PORT": str(self.redis.port),
            "NEXUS_REDIS_DATABASE": str(self._keys(number)),
            "NEXUS_REDIS_PASSWORD_FILE": str(files["redis"]),
            "NEXUS_SETTINGS": json.dumps(own),
        }

    def _keys(self, number: int) -> int:
        """The number of an empty Redis database: what one test guesses wrong is not counted in another."""
        with Redis(port=self.redis.port, password=servers.SECRETS["redis"], db=number % 16) as client:
            client.flushdb()
        return number % 16

    async def sql(self, database: str, query: str, *values: object) -> Any:
        """One value, asked for beside the provider."""
        connection = await self._connect(database)
        try:
            return await connection.fetchval(query, *values)
        finally:
            await connection.close()

    async def _database(self, name: str) -> None:
        connection = await self._connect("nexus")
        await connection.execute(f"create database {name}")
        await connection.close()
        settings = Settings(
            migrations=(Target(database=name, owner="nexus", history="auth"),),
            postgres_host="127.0.0.1",
            postgres_port=self.postgres.port,
            postgres_user="nexus",
            postgres_password_file=self.directory / "postgres-password",
        )
        assert [getattr(result, "at", result) for result in await runner.run(settings)] == ["0001"]

    async def _connect(self, database: str) -> asyncpg.Connection:
        where = {"host": "127.0.0.1", "port": self.postgres.port, "user": "nexus", "database": database}
        return await asyncpg.connect(**where, password=servers.SECRETS["postgres"])


class Provider(servers.Service):
    """The provider's process. Its public address is its own: there is no gateway in front of it here."""

    def begin(self) -> Provider:
        self.environment["NEXUS_PUBLIC_URL"] = self.url
        self.start()
        servers.eventually(lambda: self.status("/ready") == 200, 20, f"ready: {self.output[-3000:]}")
        return self

    @property
    def issuer(self) -> str:
        return self.url + json.loads(self.environment["NEXUS_SETTINGS"])["path"]

    def client(self, **fields: Any) -> Oidc:
        """A new browser of the command line's client, unless told otherwise; it is closed after the test."""
        OPENED.append(Oidc(self.issuer, **fields))
        return OPENED[-1]

    def web(self) -> Oidc:
        """A new browser of the client with a secret."""
        return self.client(client_id="web", secret=WEB_SECRET, redirect_uri=CALLBACK)

    def audited(self, event: str) -> list[dict[str, Any]]:
        """The audit lines of an event."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line for line in lines if line["logger"] == "services.auth.audit" and line["event"] == event]


def prepare(vault: Vault) -> None:
    """What the platform declares in Vault for this provider."""
    vault.call("POST", "sys/mounts/transit", {"type": "transit"})
    vault.call("POST", f"transit/keys/{KEY}", {"type": "rsa-2048"})
    vault.call("POST", "sys/auth/approle", {"type": "approle"})
    vault.role("auth", POLICY)
    vault.put("services/auth/seed", seed())


def still(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Hang a process for a while."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
