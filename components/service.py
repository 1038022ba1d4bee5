"""An application service: its container, its place in Consul, and its routes at the gateway."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_consul as consul
import pulumi_kong as kong
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection, RedisConnection
from components._contract import Contract
from components._health import duration
from components._limits import minimum_memory
from components._naming import physical
from components.workload import Engine, Port, Running, WorkloadArgs, WorkloadSpec

POSTGRES_PASSWORD, REDIS_PASSWORD = "postgres-password", "redis-password"
#: Failures in a row until the gateway leaves a target out, and successes until it is back (Kong, health checks).
UNHEALTHY_AFTER, HEALTHY_AFTER = 2, 1
#: Seconds between the gateway's checks of a target: sooner when it failed, so that it is soon back.
CHECK_FAILED_EVERY = 2
#: The circuit breaker: errors in a row, seen on real requests, that cut a target off.
BREAKER_ERRORS, BREAKER_CONNECT_ERRORS = 5, 2


class Route(BaseModel):
    """A path of the gateway that leads to the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(pattern="^/")
    strip_path: bool = True


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
    check_interval: int = Field(default=10, ge=1, le=3600)
    check_timeout: int = Field(default=3, ge=1, le=600)
    routes: tuple[Route, ...] = ()

    @property
    def target_port(self) -> int:
        """The port inside the container."""
        return self.contract.ports["http"]


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """What a service is made from. A connection that is None is one it does not need.

    The stores are where Consul and Kong keep what is registered with them: when a store goes away with the stack, its
    entries need not be deleted one by one, which could not be done either once its server is down.
    """

    image: pulumi.Input[str]
    network: pulumi.Input[str]
    engine: Engine
    postgres: PostgresConnection | None = None
    redis: RedisConnection | None = None
    registry_store: pulumi.Resource | None = None
    gateway_store: pulumi.Resource | None = None


class Service(pulumi.ComponentResource):
    """The service. Its providers for Consul and Kong come with ``opts``."""

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
        register(name, spec, pulumi.ResourceOptions(parent=self, deleted_with=args.registry_store))
        if spec.routes:
            publish(name, spec, pulumi.ResourceOptions(parent=self, deleted_with=args.gateway_store))
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


def register(name: str, spec: ServiceSpec, opts: pulumi.ResourceOptions) -> None:
    """List the service in Consul with its endpoint and an HTTP check, which the external monitor runs."""
    node = consul.Node(
        f"{name}-node",
        name=physical(spec.stack, spec.name),
        address=spec.name,
        meta={"external-node": "true", "external-probe": "false"},  # what the monitor looks for
        opts=opts,
    )
    consul.Service(
        f"{name}-registration",
        name=spec.name,
        node=node.name,
        address=spec.name,
        port=spec.target_port,
        checks=[
            consul.ServiceCheckArgs(
                check_id=f"{spec.name}-health",
                name=f"{spec.name} answers {spec.health_path}",
                http=f"http://{spec.name}:{spec.target_port}{spec.health_path}",
                interval=duration(spec.check_interval),
                timeout=duration(spec.check_timeout),
            )
        ],
        opts=opts,
    )


def publish(name: str, spec: ServiceSpec, opts: pulumi.ResourceOptions) -> None:
    """Route the service's paths at the gateway to its instances."""
    upstream = kong.Upstream(
        f"{name}-upstream", name=f"{spec.name}.upstream", healthchecks=healthchecks(spec), tags=[spec.stack], opts=opts
    )
    kong.Target(
        f"{name}-target",
        upstream_id=upstream.id,
        target=f"{spec.name}:{spec.target_port}",
        weight=100,
        tags=[spec.stack],
        opts=opts,
    )
    service = kong.Service(
        f"{name}-gateway", name=spec.name, protocol="http", host=upstream.name, port=80, tags=[spec.stack], opts=opts
    )
    for number, route in enumerate(spec.routes):
        kong.Route(
            f"{name}-route-{number}",
            name=f"{spec.name}-{number}",
            service_id=service.id,
            protocols=["http", "https"],
            paths=[route.path],
            strip_path=route.strip_path,
            tags=[spec.stack],
            opts=opts,
        )


def healthchecks(spec: ServiceSpec) -> kong.UpstreamHealthchecksArgs:
    """Active checks by the gateway, and passive ones as a circuit breaker."""
    return kong.UpstreamHealthchecksArgs(
        active=kong.UpstreamHealthchecksActiveArgs(
            type="http",
            http_path=spec.health_path,
            timeout=spec.check_timeout,
            healthy=kong.UpstreamHealthchecksActiveHealthyArgs(interval=spec.check_interval, successes=HEALTHY_AFTER),
            unhealthy=kong.UpstreamHealthchecksActiveUnhealthyArgs(
                interval=CHECK_FAILED_EVERY,
                http_failures=UNHEALTHY_AFTER,
                tcp_failures=UNHEALTHY_AFTER,
                timeouts=UNHEALTHY_AFTER,
            ),
        ),
        passive=kong.UpstreamHealthchecksPassiveArgs(
            type="http",
            unhealthy=kong.UpstreamHealthchecksPassiveUnhealthyArgs(
                http_failures=BREAKER_ERRORS, tcp_failures=BREAKER_CONNECT_ERRORS, timeouts=BREAKER_CONNECT_ERRORS
            ),
        ),
    )
