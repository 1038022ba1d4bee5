"""PostgreSQL with its pooler, Redis and RabbitMQ, run as their components run them; their users as Vault makes them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from components import _postgres, pgbouncer, postgres, rabbitmq, redis
from components._postgres import Database
from components.workload import Port
from infra import images
from tests.ports import free_port

PASSWORDS = {login: f"{login}-password" for login in (*postgres.LOGINS, "kong")}
ADMINISTRATOR_PASSWORD = "administrator-password"


def port_of(container: Any, port: int) -> int:
    """The host port."""
    container.reload()
    return int(container.ports[f"{port}/tcp"][0]["HostPort"])


def published(*ports: int) -> dict[str, Any]:
    """Host ports that stay over a restart."""
    return {f"{port}/tcp": ("127.0.0.1", free_port()) for port in ports}


@dataclass
class Sql:
    """PostgreSQL and PgBouncer; statements are run by psql of the pooler's container."""

    under: Any
    server: Any
    pooler: Any
    databases: Sequence[Database]

    def provision(self) -> None:
        text = _postgres.script(self.databases, PASSWORDS, vault="vault", migrator="migrator", pooler="pooler")
        ready = postgres.workload(spec_of_postgres(self.databases)).ready
        done = subprocess.run(
            ["docker", "exec", "-i", self.server.name, *ready], input=text, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def ask(self, user: str, password: str, database: str, statement: str, pooled: bool = False) -> tuple[int, str]:
        """The exit code and what psql said."""
        host, port = ("127.0.0.1", "6432") if pooled else ("postgres", "5432")
        argv = ["psql", "-h", host, "-p", port, "-U", user, "-d", database, "-v", "ON_ERROR_STOP=1", "-qtAc", statement]
        code, text = self.under.ask(self.pooler, argv, environment={"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5"})
        assert code is not None, text
        return code, text.strip()

    def lend(self, user: str, password: str, owner: str) -> None:
        """A login for a service, with the statements Vault's database roles have."""
        statements = (
            f'CREATE ROLE "{user}" LOGIN PASSWORD \'{password}\' IN ROLE "{owner}";'
            f'ALTER ROLE "{user}" SET role = "{owner}"'
        )
        assert self.ask("vault", PASSWORDS["vault"], "postgres", statements) == (0, "")


def spec_of_postgres(databases: Sequence[Database], memory: int = 256) -> postgres.PostgresSpec:
    return postgres.PostgresSpec(
        stack="test",
        contract=images.contract("postgres"),
        memory_mib=memory,
        port=Port(container=5432, host=15432),
        databases=tuple(databases),
    )


def sql(under: Any, image: Any, *databases: Database) -> Sql:
    """Started and provisioned."""
    spec = spec_of_postgres(databases)
    work = postgres.workload(spec)
    server = under.run(
        "postgres",
        image("postgres"),
        command=work.command,
        env=work.env,
        files={postgres.PASSWORD_FILE: "super"},
        ports=published(5432),
    )
    pool = pgbouncer.PgbouncerSpec(stack="test", contract=images.contract("pgbouncer"), connections=20)
    files = {
        pgbouncer.CONFIGURATION: pgbouncer.configuration(pool, "postgres", 5432, "pooler"),
        pgbouncer.USERS: pgbouncer.users("pooler", PASSWORDS["pooler"]),
    }
    pooler = under.run("pgbouncer", image("pgbouncer"), files=files)
    made = Sql(under, server, pooler, databases)
    under.answers(server, spec.contract.health)
    made.provision()
    under.answers(pooler, pgbouncer.workload(pool).ready)
    return made


def store(under: Any, image: Any, purpose: Any, users: dict[str, list[str]]) -> Any:
    """Redis with those users and their passwords."""
    known = tuple(
        redis.User(name=name, prefix=redis.RATE_LIMITING_KEYS, commands=redis.RATE_LIMITING)
        if name == "kong"
        else redis.User(name=name)
        for name in users
    )
    spec = redis.RedisSpec(stack="test", contract=images.contract("redis"), memory_mib=64, users=known, purpose=purpose)
    files = {redis.CONFIGURATION: redis.configuration(spec), redis.USERS: redis.acl(spec.users, users)}
    server = under.run("redis", image("redis"), command=redis.workload(spec).command, files=files)
    under.answers(server, redis.workload(spec).ready)
    return server


@dataclass
class Broker:
    """RabbitMQ; ``lend`` makes a user by the management API, as Vault does."""

    under: Any
    server: Any

    def spec(self, *consumers: str) -> rabbitmq.RabbitmqSpec:
        return spec_of_rabbitmq(*consumers)

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        address = f"http://127.0.0.1:{port_of(self.server, 15672)}/api"
        with httpx.Client(base_url=address, auth=("vault", ADMINISTRATOR_PASSWORD), timeout=20) as client:
            yield client

    def lend(self, user: str, write: str, read: str) -> str:
        """The user's address."""
        with self.api() as api:
            made = api.put(f"/users/{user}", json={"password": "lent", "tags": ""})
            assert made.is_success, made.text
            rights = {"configure": "^$", "write": write, "read": read}
            assert api.put(f"/permissions/{rabbitmq.VHOST}/{user}", json=rights).is_success
        return self.address(user)

    def address(self, user: str) -> str:
        return f"amqp://{user}:lent@127.0.0.1:{port_of(self.server, 5672)}/{rabbitmq.VHOST}"


def spec_of_rabbitmq(*consumers: str) -> rabbitmq.RabbitmqSpec:
    return rabbitmq.RabbitmqSpec(
        stack="test",
        contract=images.contract("rabbitmq"),
        memory_mib=256,
        ports=(),
        consumers=tuple(rabbitmq.Consumer(name=name, topics=("event.#",)) for name in consumers),
    )


def broker_files(spec: rabbitmq.RabbitmqSpec) -> dict[str, str]:
    return {
        rabbitmq.CONFIGURATION: rabbitmq.configuration(spec),
        rabbitmq.COOKIE: "C" * 32,
        rabbitmq.DEFINITIONS: rabbitmq.definitions(spec.consumers, ADMINISTRATOR_PASSWORD),
    }


def broker(under: Any, image: Any, *consumers: str) -> Broker:
    """Started, with a queue for each consumer."""
    spec = spec_of_rabbitmq(*consumers)
    work = rabbitmq.workload(spec)
    server = under.run(
        "rabbitmq",
        image("rabbitmq"),
        command=work.command,
        env=work.env,
        files=broker_files(spec),
        ports=published(5672, 15672),
    )
    under.answers(server, work.ready)
    return Broker(under, server)
