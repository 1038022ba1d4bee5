"""Redis, with one ACL user for each service that needs it; what is written survives a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import RedisConnection
from components._contract import Contract
from components._limits import minimum_memory
from components._resources import GeneratedSecret, passwords
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

#: The user `health` may only PING and have the users' file read again, so neither needs a secret.
ASK = "redis-cli --no-auth-warning --user health --pass none"
HEALTH = ("sh", "-c", f"{ASK} ping | grep -q PONG")
#: Another service's user is no reason to restart: the server reads its file again, and connections stay.
RELOAD = ("sh", "-c", f"{ASK} acl load | grep -q OK")
USERS = "users.acl"
#: Of the limit, the rest is for the fork of an AOF rewrite and for client buffers (redis.io, Memory optimization).
MAXMEMORY_SHARE = 0.7
#: A service may read and write, but not administer the server (ACL categories, redis.io, ACL).
PERMISSIONS = "~* &* +@all -@admin -@dangerous"


class RedisSpec(BaseModel):
    """How Redis runs; known at plan time. ``eviction``: noeviction for data, allkeys-lru for a pure cache."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "redis"
    memory_mib: int = Field(ge=minimum_memory("redis"))
    port: Port
    users: tuple[str, ...] = ()
    eviction: Literal["noeviction", "allkeys-lru", "volatile-lru", "volatile-ttl"] = "volatile-lru"


class Redis(pulumi.ComponentResource):
    """The server. ``connections`` has one per user."""

    connections: dict[str, RedisConnection]
    running: Running

    def __init__(
        self, name: str, spec: RedisSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Redis", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        secrets = {user: GeneratedSecret(f"{name}-{user}-password", opts=child) for user in spec.users}
        self.connections = {
            user: RedisConnection(host=spec.name, port=spec.contract.ports["redis"], user=user, password=secret.value)
            for user, secret in secrets.items()
        }
        self.running = args.engine.run(
            name,
            workload(spec),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={
                    "redis.conf": configuration(spec),
                    USERS: passwords(secrets).apply(acl),
                },
            ),
            child,
        )
        self.register_outputs({"host": self.running.host, "port": spec.contract.ports["redis"]})


def configuration(spec: RedisSpec) -> str:
    """``redis.conf``: append-only file, memory policy, users from their file."""
    return "\n".join(
        (
            f"dir {spec.contract.data}",
            "appendonly yes",
            f"maxmemory {int(spec.memory_mib * MAXMEMORY_SHARE)}mb",
            f"maxmemory-policy {spec.eviction}",
            f"aclfile {spec.contract.secret(USERS)}",
            "",
        )
    )


def acl(known: Mapping[str, str]) -> str:
    """The ACL file: only digests of the passwords reach the container."""
    lines = ["user default off", "user health on nopass -@all +ping +acl|load"]
    lines += [
        f"user {user} on #{hashlib.sha256(password.encode()).hexdigest()} {PERMISSIONS}"
        for user, password in sorted(known.items())
    ]
    return "\n".join([*lines, ""])


def workload(spec: RedisSpec) -> WorkloadSpec:
    """Redis as a workload."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=("redis-server", spec.contract.secret("redis.conf")),
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        health=HEALTH,
        ready=RELOAD,
        live=(USERS,),
    )
