"""Kong, the gateway. Its configuration lives in PostgreSQL and is written through the Admin API."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection
from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

PASSWORD_FILE = "postgres-password"  # noqa: S105  the file's name
#: The schema is made and upgraded before each start. It retries because PostgreSQL may still be starting, at first
#: as after a restart of the whole engine. The image's entrypoint turns the password's file into Kong's own setting.
START = """\
until /docker-entrypoint.sh kong migrations bootstrap; do sleep 0.3; done
/docker-entrypoint.sh kong migrations up && /docker-entrypoint.sh kong migrations finish
exec /docker-entrypoint.sh kong docker-start"""


class KongSpec(BaseModel):
    """How Kong runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "kong"
    stand_in: bool = False
    memory_mib: int = Field(ge=minimum_memory("kong"))
    admin: Port
    proxy: Port
    proxy_tls: Port


@dataclass(frozen=True, kw_only=True)
class KongArgs(ServerArgs):
    """What Kong is made from."""

    database: PostgresConnection


class Kong(pulumi.ComponentResource):
    """The gateway. Output: ``admin_url``, known once Kong runs: what a provider is configured with."""

    admin_url: pulumi.Output[str]
    running: Running

    def __init__(self, name: str, spec: KongSpec, args: KongArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nexus:index:Kong", name, None, opts)
        self.running = args.engine.run(
            name,
            workload(spec, args.database),
            WorkloadArgs(image=args.image, network=args.network, files={PASSWORD_FILE: args.database.password}),
            pulumi.ResourceOptions(parent=self),
        )
        self.admin_url = self.running.ready.after(f"http://{reachable(spec.admin.bind)}:{spec.admin.host}")
        self.register_outputs({"adminUrl": self.admin_url})


def workload(spec: KongSpec, database: PostgresConnection) -> WorkloadSpec:
    """Kong as a workload."""
    ports = spec.contract.ports
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        stand_in=spec.stand_in,
        contract=spec.contract,
        command=("sh", "-c", START),
        env={
            "KONG_DATABASE": "postgres",
            "KONG_PG_HOST": database.host,
            "KONG_PG_PORT": str(database.port),
            "KONG_PG_DATABASE": database.database,
            "KONG_PG_USER": database.user,
            "KONG_PG_PASSWORD_FILE": spec.contract.secret(PASSWORD_FILE),
            "KONG_ADMIN_LISTEN": f"0.0.0.0:{ports['admin']}",
            "KONG_PROXY_LISTEN": f"0.0.0.0:{ports['proxy']}, 0.0.0.0:{ports['proxy-tls']} ssl",
            "KONG_NGINX_WORKER_PROCESSES": "1",
        },
        ports=(spec.admin, spec.proxy, spec.proxy_tls),
        memory_mib=spec.memory_mib,
    )
