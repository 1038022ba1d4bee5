"""PostgreSQL, with a database and its owner for each service that needs one."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection
from components._contract import Contract
from components._limits import minimum_memory
from components._resources import GeneratedSecret, passwords
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

PASSWORD_FILE = "password"  # noqa: S105  the file's name, as the contract has it
#: A quarter of the memory for shared buffers, three quarters assumed cached (postgresql.org, Resource Consumption).
SHARED_BUFFERS_SHARE, CACHE_SHARE = 4, 4 / 3

#: Creates what is missing and sets the passwords again, so that a changed one takes effect instead of locking services
#: out. A failing statement is not logged with its text: it may hold a password.
PREAMBLE = "\\set ON_ERROR_STOP on\nSET log_min_error_statement = panic;\nSET client_min_messages = warning;\n"
DATABASE = """\
SELECT format('CREATE ROLE %I LOGIN', '{owner}')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{owner}') \\gexec
ALTER ROLE "{owner}" PASSWORD '{password}';
SELECT format('CREATE DATABASE %I OWNER %I', '{name}', '{owner}')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC;
"""


class Database(BaseModel):
    """A database and the role that owns it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    owner: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")


class PostgresSpec(BaseModel):
    """How PostgreSQL runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "postgres"
    memory_mib: int = Field(ge=minimum_memory("postgres"))
    port: Port
    databases: tuple[Database, ...] = ()


class Postgres(pulumi.ComponentResource):
    """The server. ``connections`` has one per database name; ``running.ready`` opens when all of them exist."""

    connections: dict[str, PostgresConnection]
    running: Running

    def __init__(
        self, name: str, spec: PostgresSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Postgres", name, None, opts)
        port = spec.contract.ports["sql"]
        child = pulumi.ResourceOptions(parent=self)
        superuser = GeneratedSecret(f"{name}-password", opts=child)
        owners = {d.owner: GeneratedSecret(f"{name}-{d.owner}-password", opts=child) for d in spec.databases}
        self.connections = {
            d.name: PostgresConnection(
                host=spec.name,
                port=port,
                database=d.name,
                user=d.owner,
                password=owners[d.owner].value,
            )
            for d in spec.databases
        }
        self.running = args.engine.run(
            name,
            workload(spec),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={PASSWORD_FILE: superuser.value},
                ready_input=provision(spec.databases, passwords(owners)),
            ),
            child,
        )
        self.register_outputs({"host": self.running.host, "port": port, "databases": sorted(self.connections)})


def workload(spec: PostgresSpec) -> WorkloadSpec:
    """PostgreSQL as a workload, tuned by its memory limit."""
    settings = {
        "shared_buffers": f"{spec.memory_mib // SHARED_BUFFERS_SHARE}MB",
        "effective_cache_size": f"{int(spec.memory_mib / CACHE_SHARE)}MB",
    }
    answers = " ".join(spec.contract.health)
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=("postgres", *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))),
        env={
            "POSTGRES_PASSWORD_FILE": spec.contract.secret(PASSWORD_FILE),
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256",
        },
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        ready=(
            "sh",
            "-c",
            f"{answers} && exec psql --no-psqlrc --quiet --username=postgres --file=-",
        ),
    )


def provision(databases: tuple[Database, ...], known: pulumi.Output[dict[str, str]]) -> pulumi.Output[str]:
    """The SQL that makes the databases and their owners; idempotent, and a secret."""

    def script(by_owner: Mapping[str, str]) -> str:
        return PREAMBLE + "".join(
            DATABASE.format(name=d.name, owner=d.owner, password=by_owner[d.owner]) for d in databases
        )

    return pulumi.Output.secret(known.apply(script))
