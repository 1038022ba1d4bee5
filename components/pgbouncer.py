"""PgBouncer, the pooler in front of PostgreSQL: it bounds connections, and has new ones wait instead of fail."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection
from components._contract import Contract
from components._limits import minimum_memory
from components._postgres import LOOKUP_SCHEMA
from components._tls import AUTHORITY, CERTIFICATE, server_files
from components.workload import Running, ServerArgs, WorkloadArgs, WorkloadSpec

CONFIGURATION, USERS = "pgbouncer.ini", "userlist.txt"
#: Clients wait for a free connection at most this long, in seconds: longer than a restart of PostgreSQL takes.
WAIT_SECONDS = 20
#: Leaves a connection as a new one would be. Not the usual DISCARD ALL: it puts back the login's own rights in the
#: place of its owner's, which the login takes on as it connects.
RESET = (
    "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; "
    "SELECT pg_advisory_unlock_all(); DEALLOCATE ALL; DISCARD TEMP; DISCARD SEQUENCES"
)


class PgbouncerSpec(BaseModel):
    """How PgBouncer runs; known at plan time. ``connections`` to PostgreSQL at most, by all databases together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "pgbouncer"
    memory_mib: int = Field(default=32, ge=minimum_memory("pgbouncer"))
    connections: int = Field(ge=10)


@dataclass(frozen=True, kw_only=True)
class PgbouncerArgs(ServerArgs):
    """What PgBouncer is made from. ``login`` may do nothing but look up who may log in."""

    login: PostgresConnection


class Pgbouncer(pulumi.ComponentResource):
    """The pooler. It is reached as PostgreSQL is, by the same users and passwords, encrypted where that is."""

    host: str
    port: int
    authority: pulumi.Input[str] | None
    running: Running

    def __init__(
        self, name: str, spec: PgbouncerSpec, args: PgbouncerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Pgbouncer", name, None, opts)
        login = args.login
        self.host, self.port = spec.name, spec.contract.ports["sql"]
        self.authority = args.tls.authority if args.tls else None
        self.running = args.engine.run(
            name,
            workload(spec, encrypted=args.tls is not None),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={
                    CONFIGURATION: configuration(
                        spec, login.host, login.port, login.user, encrypted=args.tls is not None
                    ),
                    USERS: login.password.apply(lambda password: users(login.user, password)),
                    **server_files(args.tls),
                },
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"host": self.host, "port": self.port})


def workload(spec: PgbouncerSpec, *, encrypted: bool = False) -> WorkloadSpec:
    """PgBouncer as a workload. It reads its files again when told to, and connections stay."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        kind="helper",
        contract=spec.contract,
        memory_mib=spec.memory_mib,
        ready=("sh", "-c", f"{' '.join(spec.contract.health)} && kill -HUP 1"),
        live=(CONFIGURATION, USERS, *((CERTIFICATE, AUTHORITY) if encrypted else ())),
    )


def configuration(spec: PgbouncerSpec, host: str, port: int, user: str, *, encrypted: bool = False) -> str:
    """``pgbouncer.ini``: any database of the server, for whoever PostgreSQL lets in there."""
    settings = {
        "listen_addr": "0.0.0.0",  # noqa: S104  inside its container, where no port is published
        "listen_port": spec.contract.ports["sql"],
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": spec.contract.secret(USERS),
        "auth_query": f"SELECT login, verifier FROM {LOOKUP_SCHEMA}.lookup($1)",  # noqa: S608  our own name
        "pool_mode": "session",
        "max_client_conn": 2000,
        # A role of Vault's is a user of its own, so the bound is the database's: no service takes all there are.
        "default_pool_size": spec.connections // 2,
        "max_db_connections": spec.connections // 2,
        "server_reset_query": RESET,
        "server_idle_timeout": 60,
        "server_lifetime": 3600,
        "query_wait_timeout": WAIT_SECONDS,
        # After a restart of PostgreSQL, perhaps with another address, the next attempts come soon.
        "server_login_retry": 1,
        "server_connect_timeout": 3,
        "dns_max_ttl": 5,
        "dns_nxdomain_ttl": 1,
        "tcp_keepidle": 60,
        "ignore_startup_parameters": "extra_float_digits",
        "log_connections": 0,
        "log_disconnections": 0,
        "log_stats": 0,
        **(encryption(spec) if encrypted else {}),
    }
    lines = [f"{key} = {value}" for key, value in settings.items()]
    server = f"* = host={host} port={port} auth_user={user}"
    return "\n".join(("[databases]", server, "", "[pgbouncer]", *lines, ""))


def encryption(spec: PgbouncerSpec) -> dict[str, str]:
    """The settings of encrypted connections: to clients, which are refused without, and to PostgreSQL, by its name."""
    held = spec.contract.secret(CERTIFICATE)
    return {
        "client_tls_sslmode": "require",
        "client_tls_cert_file": held,
        "client_tls_key_file": held,
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": spec.contract.secret(AUTHORITY),
    }


def users(login: str, password: str) -> str:
    """``userlist.txt``: who looks up the others, and the user of the health check, who can never log in."""
    return f'"{login}" "{password}"\n"health" ""\n'
