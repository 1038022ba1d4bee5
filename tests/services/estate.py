"""A small platform for the services: real Vault, PostgreSQL, Redis, RabbitMQ and Consul, set up as the components do.

Policies, definitions and statements are the components' own, so that what works here has the rights it has there.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import docker
import httpx

from components import _vault_policies as policies
from components import identity, rabbitmq
from infra import images
from ops import artifacts, image_builder
from services.migrations import histories
from tests.ports import free_port
from tests.services import servers

ROOT_TOKEN, VAULT_PASSWORD = secrets.token_hex(16), secrets.token_hex(16)
CONSUL_TOKEN, API_KEY = secrets.token_hex(16), f"sk-{secrets.token_hex(16)}"


@dataclass(frozen=True)
class Kind:
    """A service of the estate: its role, schema and queue."""

    role: str = "items"
    history: str = ""
    consumes: tuple[str, ...] = ()
    broker: bool = True


KINDS = {
    "events": Kind("events"),
    "transform": Kind("transform", "events", ("event.received",)),
    "search": Kind("search", "items", ("event.stored",)),
    "audit": Kind("audit", "audit", ("#",)),
    "ai": Kind("ai", broker=False),
    "lonely": Kind("items", "items", broker=False),
}


@dataclass
class Process:
    """A server process with its log."""

    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.env, stdout=log, stderr=log, cwd=self.log.parent)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


class Estate:
    """All servers, and the services that tests start on them."""

    def __init__(self, directory: Path, postgres: servers.Server) -> None:
        self.directory, self.postgres = directory, postgres
        self.ports = {name: free_port() for name in ("vault", "amqp", "management", "consul", "redis")}
        self.vault_address = f"http://127.0.0.1:{self.ports['vault']}"
        self.consul_address = f"http://127.0.0.1:{self.ports['consul']}"
        self.secret_ids = {name: secrets.token_hex(16) for name in KINDS}
        self.redis_passwords = {name: secrets.token_hex(16) for name in KINDS}
        self.manager_password = secrets.token_hex(16)
        self.vault, self.consul, self.redis = self._vault(), self._consul(), self._redis()
        self.broker: Any = None
        self._engine = docker.from_env(timeout=60)

    def start(self) -> None:
        self.broker = self._rabbitmq()
        for server in (self.vault, self.consul, self.redis):
            server.start()
        self._set_up_consul()
        self._set_up_vault()
        servers.eventually(self.broker_answers, 120, "RabbitMQ answers")

    def stop(self) -> None:
        for server in (self.vault, self.consul, self.redis):
            server.stop()
        if self.broker is not None:
            self.broker.remove(force=True, v=True)
        self._engine.close()

    async def databases(self) -> None:
        """Make each service's database, owner and tables, and Vault's own login."""
        admin = await servers.admin(self.postgres)
        await admin.execute(f"create role vault login createrole password '{VAULT_PASSWORD}'")
        for name, kind in KINDS.items():
            if kind.history:
                await admin.execute(f'create role "{name}" nologin')
                await admin.execute(f'create database "{name}" owner "{name}"')
                await admin.execute(f'revoke connect on database "{name}" from public')
                await self._migrate(name, kind.history)
        await admin.close()

    async def connect(self, database: str) -> asyncpg.Connection:
        where = {"host": "127.0.0.1", "port": self.postgres.port, "user": "nexus", "database": database}
        return await asyncpg.connect(**where, password=servers.SECRETS["postgres"])

    def ask_vault(self, method: str, path: str, body: Any = None) -> Any:
        """Act on Vault as root."""
        answer = httpx.request(
            method, f"{self.vault_address}/v1/{path}", json=body, headers={"X-Vault-Token": ROOT_TOKEN}, timeout=20
        )
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def ask_consul(self, method: str, path: str, body: Any = None) -> Any:
        """Act on Consul as its manager."""
        url, headers = f"{self.consul_address}/v1/{path}", {"X-Consul-Token": CONSUL_TOKEN}
        answer = httpx.request(method, url, json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def ask_broker(self, method: str, path: str, body: Any = None) -> Any:
        """Act on RabbitMQ as its administrator."""
        url = f"http://127.0.0.1:{self.ports['management']}/api/{path}"
        answer = httpx.request(method, url, json=body, auth=(rabbitmq.ADMINISTRATOR, VAULT_PASSWORD), timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def depth(self, queue: str) -> int:
        """Count the messages of a queue, those in hand too, over AMQP's own counter."""
        return self.ask_broker("GET", f"queues/{rabbitmq.VHOST}/{queue}").get("messages", 0)

    def broker_answers(self) -> bool:
        try:
            return bool(self.ask_broker("GET", "queues"))
        except httpx.HTTPError:
            return False

    def announce(self, service: str, port: int, number: int = 0) -> None:
        """List an instance in Consul, as the platform does from outside."""
        node = {"Node": f"{service}-{number}", "Address": "127.0.0.1", "SkipNodeUpdate": False}
        entry = {"ID": f"{service}-{number}", "Service": service, "Port": port, "Address": "127.0.0.1"}
        check = {"CheckID": f"{service}-{number}", "Name": "http", "Status": "passing", "ServiceID": entry["ID"]}
        self.ask_consul("PUT", "catalog/register", {**node, "Service": entry, "Check": check})

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """Build a service's environment as the platform gives it."""
        kind, secret_id = KINDS[name], self.directory / f"{name}-secret-id"
        secret_id.write_text(self.secret_ids[name])
        settings = {
            "NEXUS_SERVICE": name,
            "NEXUS_STACK": "test",
            "NEXUS_ROLE": kind.role,
            "NEXUS_VAULT_ADDRESS": self.vault_address,
            "NEXUS_VAULT_SECRET_ID_FILE": str(secret_id),
            "NEXUS_REDIS_HOST": "127.0.0.1",
            "NEXUS_REDIS_PORT": str(self.ports["redis"]),
            "NEXUS_CONSUL_ADDRESS": self.consul_address,
        }
        if kind.history:
            settings |= {"NEXUS_POSTGRES_HOST": "127.0.0.1", "NEXUS_POSTGRES_PORT": str(self.postgres.port)}
            settings |= {"NEXUS_POSTGRES_DATABASE": name}
        if kind.broker:
            settings |= {"NEXUS_RABBITMQ_HOST": "127.0.0.1", "NEXUS_RABBITMQ_PORT": str(self.ports["amqp"])}
        if kind.consumes:
            settings |= {"NEXUS_RABBITMQ_QUEUE": name}
        return settings | more

    def secrets_in(self, text: str) -> list[str]:
        """Return what must never be in a log or an answer and is."""
        every = [*self.secret_ids.values(), *self.redis_passwords.values(), API_KEY, ROOT_TOKEN, CONSUL_TOKEN]
        return [secret for secret in every if secret in text] + [mark for mark in ("hvs.", "hvb.") if mark in text]

    async def _migrate(self, database: str, history: str) -> None:
        connection = await self.connect(database)
        await connection.execute(f'set role "{database}"')
        for step in histories.steps(history, histories.BASE):
            await connection.execute(step.sql)
        await connection.close()

    def _vault(self) -> Process:
        binary = artifacts.build("vault", lambda _: None)
        address = f"-dev-listen-address=127.0.0.1:{self.ports['vault']}"
        configuration = self.directory / "vault.hcl"
        # By default the fifth login before a role is made would keep the service out for a quarter of an hour.
        configuration.write_text('user_lockout "approle" { disable_lockout = "true" }\n')
        command = [str(binary), "server", "-dev", "-dev-no-store-token", address, f"-config={configuration}"]
        environment = {"HOME": str(self.directory), "VAULT_DEV_ROOT_TOKEN_ID": ROOT_TOKEN, "PATH": os.environ["PATH"]}
        return Process(command, self.directory / "vault.log", environment)

    def _consul(self) -> Process:
        binary, configuration = artifacts.build("consul", lambda _: None), self.directory / "consul.json"
        tokens = {"initial_management": CONSUL_TOKEN, "agent": CONSUL_TOKEN}
        acl = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        ports = {"http": self.ports["consul"], "dns": -1, "grpc": -1, "grpc_tls": -1}
        ports |= {name: free_port() for name in ("server", "serf_lan", "serf_wan")}
        configuration.write_text(json.dumps({"acl": acl, "ports": ports}))
        command = [str(binary), "agent", "-dev", "-node=test", "-bind=127.0.0.1", f"-config-file={configuration}"]
        return Process([*command, "-log-level=warn"], self.directory / "consul.log")

    def _redis(self) -> Process:
        configuration = self.directory / "estate-redis.conf"
        users = [f"user {name} on >{word} ~{name}:* +@all -@dangerous" for name, word in self.redis_passwords.items()]
        users.append(f"user manager on >{self.manager_password} ~* +@all")
        lines = ["bind 127.0.0.1", f"port {self.ports['redis']}", 'save ""', "user default off"]
        configuration.write_text("\n".join([*lines, *users]) + "\n")
        return Process(["/usr/bin/redis-server", str(configuration)], self.directory / "estate-redis.log")

    def _rabbitmq(self) -> Any:
        image_builder.ensure(["rabbitmq"], images.LOCAL, lambda _: None)
        folder = self.directory / "rabbitmq"
        folder.mkdir()
        consumers = [rabbitmq.Consumer(name=n, topics=kind.consumes) for n, kind in KINDS.items() if kind.consumes]
        contract = images.contract("rabbitmq")
        spec = rabbitmq.RabbitmqSpec(stack="test", contract=contract, memory_mib=384, ports=(), consumers=consumers)
        definitions = rabbitmq.definitions(consumers, VAULT_PASSWORD)
        (folder / rabbitmq.CONFIGURATION).write_text(rabbitmq.configuration(spec))
        (folder / rabbitmq.DEFINITIONS).write_text(definitions)
        (folder / rabbitmq.COOKIE).write_text(secrets.token_hex(16))
        for file in folder.iterdir():
            os.chown(file, contract.uid, contract.gid)
            file.chmod(0o400)
        return self._engine.containers.run(
            images.reference("rabbitmq", images.LOCAL),
            list(contract.command),
            name=f"nexus-test-services-{os.getpid()}",
            labels={"nexus.test": "services"},
            user=contract.user,
            environment={**contract.environment, "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": rabbitmq.ERLANG},
            volumes={str(folder): {"bind": contract.secrets, "mode": "ro"}},
            ports={
                "5672/tcp": ("127.0.0.1", self.ports["amqp"]),
                "15672/tcp": ("127.0.0.1", self.ports["management"]),
            },
            mem_limit="512m",
            detach=True,
        )

    def _set_up_consul(self) -> None:
        def elected() -> bool:
            try:
                return bool(self.ask_consul("GET", "status/leader"))
            except httpx.HTTPError:
                return False

        servers.eventually(elected, 30, "Consul has a leader")
        everyone = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
        for name in KINDS:
            rules = f'{everyone} service "{name}" {{ policy = "write" }}'
            self.ask_consul("PUT", "acl/policy", {"Name": name, "Rules": rules})

    def _set_up_vault(self) -> None:
        def answers() -> bool:
            try:
                return httpx.get(f"{self.vault_address}/v1/sys/health").status_code == 200
            except httpx.HTTPError:
                return False

        servers.eventually(answers, 30, "Vault answers")
        self.ask_vault("POST", "sys/auth/approle", {"type": "approle"})
        accessor = self.ask_vault("GET", "sys/auth")["approle/"]["accessor"]
        text = policies.document(policies.service_rules(accessor))
        self.ask_vault("PUT", "sys/policies/acl/service", {"policy": text})
        for engine in ("database", "rabbitmq", "consul", "transit"):
            self.ask_vault("POST", f"sys/mounts/{engine}", {"type": engine})
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{self.postgres.port}/postgres?sslmode=disable"
        login = {"username": "vault", "password": VAULT_PASSWORD, "verify_connection": False}
        plugin = {"plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": "*"}
        self.ask_vault("POST", "database/config/postgres", {**plugin, **login})
        broker = {"connection_uri": f"http://127.0.0.1:{self.ports['management']}", **login}
        self.ask_vault("POST", "rabbitmq/config/connection", broker)
        address = self.consul_address.removeprefix("http://")
        self.ask_vault("POST", "consul/config/access", {"address": address, "token": CONSUL_TOKEN})
        self.grant(KINDS)

    def grant(self, names: Iterable[str], ttl: int = 3600) -> None:
        """Give services their identity and what they may lease."""
        for name in names:
            kind = KINDS[name]
            role = {"role_id": name, "token_policies": "service", "token_period": ttl, "token_no_default_policy": True}
            self.ask_vault("POST", f"auth/approle/role/{name}", role)
            self.ask_vault("POST", f"auth/approle/role/{name}/custom-secret-id", {"secret_id": self.secret_ids[name]})
            entry = {"username": name, "password": self.redis_passwords[name]}
            self.ask_vault("POST", f"secret/data/services/{name}/redis", {"data": entry})
            self.ask_vault("POST", f"transit/keys/{name}")
            self.ask_vault("POST", f"consul/roles/{name}", {"consul_policies": [name], "ttl": ttl})
            if kind.broker:
                rights = {"configure": "^$", "write": r"^(events|events\.dead)$", "read": rf"^{name}(\.dead)?$"}
                body = {"vhosts": json.dumps({rabbitmq.VHOST: rights})}
                self.ask_vault("POST", f"rabbitmq/roles/{name}", body)
            if kind.history:
                self.lend_database(name, ttl, 24 * ttl)
        self.ask_vault("POST", "secret/data/services/ai/upstream", {"data": {"api_key": API_KEY}})

    def lend_database(self, name: str, ttl: int, max_ttl: int) -> None:
        """Say how long the logins of a service's database live."""
        made = [line.replace("OWNER", name) for line in identity.CREATE_LOGIN]
        removed = list(identity.REMOVE_LOGIN)
        body = {"db_name": "postgres", "creation_statements": made, "revocation_statements": removed}
        body |= {"default_ttl": ttl, "max_ttl": max_ttl}
        self.ask_vault("POST", f"database/roles/{name}", body)
