"""An application service, connected to what it needs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import Endpoint, PostgresConnection, RedisConnection
from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

POSTGRES_PASSWORD, REDIS_PASSWORD = "postgres-password", "redis-password"


class ServiceSpec(BaseModel):
    """How a service runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str
    memory_mib: int = Field(ge=minimum_memory("service"))
    port: Port
    health_path: str = Field(default="/health", pattern="^/")
    ready_path: str = Field(default="/ready", pattern="^/")

    @property
    def target_port(self) -> int:
        """The port inside the container."""
        return self.contract.ports["http"]


@dataclass(frozen=True, kw_only=True)
class ServiceArgs(ServerArgs):
    """What a service is made from. A connection that is None is one it does not need."""

    postgres: PostgresConnection | None = None
    redis: RedisConnection | None = None


class Service(pulumi.ComponentResource):
    """The service. ``endpoint`` is where others reach it on the platform's network."""

    endpoint: Endpoint

    running: Running

    def __init__(
        self, name: str, spec: ServiceSpec, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Service", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.running = args.engine.run(
            name,
            workload(spec, args.postgres, args.redis),
            WorkloadArgs(image=args.image, network=args.network, files=files(args.postgres, args.redis)),
            child,
        )
        self.endpoint = Endpoint(name=spec.name, host=self.running.host, port=spec.target_port)
        self.register_outputs({"host": self.running.host, "port": spec.target_port})


def workload(spec: ServiceSpec, postgres: PostgresConnection | None, redis: RedisConnection | None) -> WorkloadSpec:
    """The service as a workload; its environment says where things are, its files hold the passwords."""
    env = {"NEXUS_SERVICE": spec.name, "NEXUS_STACK": spec.stack, "NEXUS_PORT": str(spec.target_port)}
    if postgres:
        env |= {
            "NEXUS_POSTGRES_HOST": postgres.host,
            "NEXUS_POSTGRES_PORT": str(postgres.port),
            "NEXUS_POSTGRES_DATABASE": postgres.database,
            "NEXUS_POSTGRES_USER": postgres.user,
            "NEXUS_POSTGRES_PASSWORD_FILE": spec.contract.secret(POSTGRES_PASSWORD),
        }
    if redis:
        env |= {
            "NEXUS_REDIS_HOST": redis.host,
            "NEXUS_REDIS_PORT": str(redis.port),
            "NEXUS_REDIS_USER": redis.user,
            "NEXUS_REDIS_PASSWORD_FILE": spec.contract.secret(REDIS_PASSWORD),
        }
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        env=env,
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        health=(*spec.contract.health, spec.health_path),
        ready=(*spec.contract.health, spec.ready_path),
    )


def files(postgres: PostgresConnection | None, redis: RedisConnection | None) -> dict[str, pulumi.Input[str]]:
    """The passwords the service needs, by file name."""
    held: dict[str, pulumi.Input[str]] = {}
    if postgres:
        held[POSTGRES_PASSWORD] = postgres.password
    if redis:
        held[REDIS_PASSWORD] = redis.password
    return held
