"""PostgreSQL, with a database for each service that needs one, and logins that reach no more than they have to."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection
from components._contract import Contract
from components._limits import minimum_memory
from components._postgres import MAINTENANCE, Database, script
from components._resources import GeneratedSecret, passwords, rotated
from components._tls import CERTIFICATE, Tls, server_files
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

PASSWORD_FILE = "password"  # noqa: S105  the file's name, as the contract has it
#: Who may connect, and how, where connections are encrypted: on the socket of its container as without, else by TLS.
ACCESS_FILE, ACCESS = "pg_hba.conf", "local all all trust\nhostssl all all all scram-sha-256\n"
#: Logins that are the platform's: Vault makes the services' roles, migrations change their schemas, and the pooler
#: looks up who may log in.
VAULT, MIGRATOR, POOLER = "vault", "migrator", "pooler"
LOGINS = (VAULT, MIGRATOR, POOLER)
#: A quarter of the memory for shared buffers, three quarters assumed cached (postgresql.org, Resource Consumption).
SHARED_BUFFERS_SHARE, CACHE_SHARE = 4, 4 / 3
#: A connection at rest holds 1.5 to 3 MiB of its own; as many as fit in what the buffers leave, within reason.
MIB_PER_CONNECTION, FEWEST_CONNECTIONS, MOST_CONNECTIONS = 3, 40, 200
#: What has to fit beside the pooler's: Kong's own, Vault's, migrations, exporters and superusers.
RESERVED_CONNECTIONS = 20


class PostgresSpec(BaseModel):
    """How PostgreSQL runs; known at plan time. ``generation`` counts the rotations of the logins' passwords."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "postgres"
    memory_mib: int = Field(ge=minimum_memory("postgres"))
    port: Port
    databases: tuple[Database, ...] = ()
    cpus: float = Field(default=0, ge=0)
    generation: int = Field(default=0, ge=0)

    @property
    def max_connections(self) -> int:
        """How many connections the memory allows."""
        return max(FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, self.memory_mib // MIB_PER_CONNECTION))


class Postgres(pulumi.ComponentResource):
    """The server. ``running.ready`` opens when all databases exist.

    ``connections`` has one per database whose owner logs in by itself; ``logins`` those of the platform's own logins.
    """

    connections: dict[str, PostgresConnection]
    logins: dict[str, PostgresConnection]
    running: Running

    def __init__(
        self, name: str, spec: PostgresSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Postgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        superuser = GeneratedSecret(f"{name}-password", opts=child)
        named = [*LOGINS, *(d.owner for d in spec.databases if d.login)]
        secrets = {login: rotated(f"{name}-{login}-password", spec.generation, child) for login in named}
        self.connections = {
            d.name: _connection(spec, args.tls, d.name, d.owner, secrets) for d in spec.databases if d.login
        }
        self.logins = {login: _connection(spec, args.tls, MAINTENANCE, login, secrets) for login in LOGINS}
        self.running = args.engine.run(
            name,
            workload(spec, encrypted=args.tls is not None),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={
                    PASSWORD_FILE: superuser.value,
                    **server_files(args.tls),
                    **({ACCESS_FILE: ACCESS} if args.tls else {}),
                },
                ready_input=provision(spec.databases, passwords(secrets)),
            ),
            child,
        )
        self.register_outputs({"host": self.running.host, "port": spec.contract.ports["sql"]})


def _connection(
    spec: PostgresSpec, tls: Tls | None, database: str, user: str, secrets: Mapping[str, GeneratedSecret]
) -> PostgresConnection:
    return PostgresConnection(
        host=spec.name,
        port=spec.contract.ports["sql"],
        database=database,
        user=user,
        password=secrets[user].value,
        authority=tls.authority if tls else None,
    )


def provision(databases: tuple[Database, ...], known: pulumi.Output[dict[str, str]]) -> pulumi.Output[str]:
    """The SQL that makes databases, owners and logins; idempotent, and a secret."""
    return pulumi.Output.secret(
        known.apply(lambda values: script(databases, values, vault=VAULT, migrator=MIGRATOR, pooler=POOLER))
    )


def workload(spec: PostgresSpec, *, encrypted: bool = False) -> WorkloadSpec:
    """PostgreSQL as a workload, tuned by its memory limit. It reads another certificate while it runs."""
    answers = " ".join(spec.contract.health)
    given = {**settings(spec), **(encryption(spec) if encrypted else {})}
    told = "kill -HUP 1 && " if encrypted else ""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=("postgres", *(part for key, value in given.items() for part in ("-c", f"{key}={value}"))),
        env={
            "POSTGRES_PASSWORD_FILE": spec.contract.secret(PASSWORD_FILE),
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256",
        },
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=(
            "sh",
            "-c",
            f"{answers} && {told}exec psql --no-psqlrc --quiet --username=postgres --file=-",
        ),
        live=(CERTIFICATE,) if encrypted else (),
    )


def settings(spec: PostgresSpec) -> dict[str, str]:
    """The server's settings: memory and connections by the limit, a bounded log of changes, a log without secrets."""
    memory = spec.memory_mib
    free = memory - memory // SHARED_BUFFERS_SHARE
    return {
        "shared_buffers": f"{memory // SHARED_BUFFERS_SHARE}MB",
        "effective_cache_size": f"{int(memory / CACHE_SHARE)}MB",
        "maintenance_work_mem": f"{max(16, memory // 16)}MB",
        # A sort takes this, and a query may have a few: a third of what is free, if all connections sort at once.
        "work_mem": f"{max(1024, free * 1024 // spec.max_connections // 3)}kB",
        "max_connections": str(spec.max_connections),
        "superuser_reserved_connections": "3",
        "max_wal_size": f"{max(256, memory)}MB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",  # for solid-state disks
        "jit": "off",
        # Each run looks at one database: with 20 of them the default would start a process every three seconds.
        "autovacuum_naptime": "5min",
        "autovacuum_max_workers": "2",
        "idle_in_transaction_session_timeout": "60s",
        "tcp_keepalives_idle": "60",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_min_duration_statement": "1s",
        "log_parameter_max_length": "0",  # values of parameters are the users' data
        "log_lock_waits": "on",
        "log_autovacuum_min_duration": "10s",
        "log_temp_files": "10MB",
    }


def encryption(spec: PostgresSpec) -> dict[str, str]:
    """The server's settings where connections are encrypted: key and certificate are of one file."""
    held = spec.contract.secret(CERTIFICATE)
    return {
        "ssl": "on",
        "ssl_cert_file": held,
        "ssl_key_file": held,
        "ssl_min_protocol_version": "TLSv1.2",
        "hba_file": spec.contract.secret(ACCESS_FILE),
    }
