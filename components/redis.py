"""Redis, with one ACL user for each service that needs it, on keys of its own; as a store or as a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import RedisConnection
from components._contract import Contract
from components._limits import minimum_memory
from components._resources import GeneratedSecret, passwords
from components._tls import AUTHORITY, CERTIFICATE, server_files
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

#: The user `health` may only PING and have the users' file read again, so neither needs a secret.
ASK = "redis-cli --no-auth-warning --user health --pass none"
USERS, CONFIGURATION = "users.acl", "redis.conf"
#: A start reads the users' file; the sum tells the gate which one.
START = "cksum < {users} > /tmp/users-read; exec redis-server {configuration}"
#: Another service's user is no reason to restart: a file that the running server has not read is read now. Only then,
#: as that closes the connections of all users (Redis 7.0, seen), who connect again at once.
RELOAD = f"""\
{{health}} || exit
cksum < {{users}} > /tmp/users-wanted
cmp -s /tmp/users-wanted /tmp/users-read && exit
{ASK} acl load | grep -q OK && mv /tmp/users-wanted /tmp/users-read"""
#: Who has another certificate read: the command would let it change any setting, so it has a password, which stays in
#: the server's own container.
RENEWER, RENEWER_PASSWORD = "renewer", "renewer-password"
#: Of the limit, the rest is for the fork of an AOF rewrite and for client buffers (redis.io, Memory optimization).
MAXMEMORY_SHARE = 0.7
#: A service may read and write. It may not administer the server, nor learn of others' keys and channels by commands
#: that name none, nor take away scripts that others run (ACL categories and commands: redis.io, ACL).
SERVICE = "+@all -@admin -@dangerous -scan -randomkey -dbsize -pubsub -function -script|flush -script|kill"
#: What Kong's plugin `rate-limiting` sends (Kong 3.9, kong/plugins/rate-limiting/policies/init.lua).
RATE_LIMITING = "+@connection -@admin -@dangerous +eval +evalsha +get +incr +incrby +exists +expire +expireat +info"
RATE_LIMITING_KEYS = "ratelimit:"
#: What makes room when the memory is full, by what the server is for. A store gives up what would be gone soonest by
#: itself, and refuses to write when nothing has a time to live; a cache gives up what was not asked for longest.
EVICTION = {"store": "volatile-ttl", "cache": "allkeys-lru"}


class User(BaseModel):
    """Who may log in: with which keys (and channels) by their beginning, and which commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    prefix: str = Field(default="", pattern=r"^([a-z][a-z0-9-]*:)?$", description="`NAME:` by default")
    commands: str = SERVICE

    @property
    def rules(self) -> str:
        """In the terms of Redis' ACL."""
        prefix = self.prefix or f"{self.name}:"
        return f"~{prefix}* &{prefix}* {self.commands}"


class RedisSpec(BaseModel):
    """How Redis runs; known at plan time.

    ``purpose``: what a store is told survives a restart, what a cache holds does not. ``generation`` counts rotations
    of the passwords: those of the generation before are accepted too, so that nobody is refused in between.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "redis"
    kind: Literal["service", "helper"] = "service"
    memory_mib: int = Field(ge=minimum_memory("redis"))
    ports: tuple[Port, ...] = ()
    users: tuple[User, ...] = ()
    purpose: Literal["store", "cache"] = "store"
    cpus: float = Field(default=0, ge=0)
    generation: int = Field(default=0, ge=0)


class Redis(pulumi.ComponentResource):
    """The server. ``connections`` has one per user."""

    connections: dict[str, RedisConnection]
    running: Running

    def __init__(
        self, name: str, spec: RedisSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Redis", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        accepted = range(max(0, spec.generation - 1), spec.generation + 1)
        secrets = {
            _key(user.name, generation): GeneratedSecret(f"{name}-{_key(user.name, generation)}-password", opts=child)
            for user in spec.users
            for generation in accepted
        }
        port = spec.contract.ports["redis"]
        if args.tls:
            secrets[RENEWER] = GeneratedSecret(f"{name}-{RENEWER}-password", opts=child)
        self.connections = {
            user.name: RedisConnection(
                host=spec.name,
                port=port,
                user=user.name,
                password=secrets[_key(user.name, spec.generation)].value,
                authority=args.tls.authority if args.tls else None,
            )
            for user in spec.users
        }
        self.running = args.engine.run(
            name,
            workload(spec, encrypted=args.tls is not None),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={
                    CONFIGURATION: configuration(spec, encrypted=args.tls is not None),
                    USERS: passwords(secrets).apply(
                        lambda known: acl(
                            spec.users,
                            {u.name: [known[_key(u.name, g)] for g in accepted] for u in spec.users},
                            renewer=known.get(RENEWER),
                        )
                    ),
                    **server_files(args.tls),
                    **({RENEWER_PASSWORD: secrets[RENEWER].value} if args.tls else {}),
                },
            ),
            child,
        )
        self.register_outputs({"host": self.running.host, "port": port})


def _key(user: str, generation: int) -> str:
    """The name of a user's password; the first has the user's own."""
    return f"{user}.{generation}" if generation else user


def configuration(spec: RedisSpec, *, encrypted: bool = False) -> str:
    """``redis.conf``: what is kept, what makes room, users from their file, and how clients connect."""
    data = spec.contract.data or "/data"
    lines = [
        f"dir {data}",
        f"appendonly {'yes' if spec.purpose == 'store' else 'no'}",
        'save ""',  # the append-only file has all of it; a snapshot would be a second fork
        f"maxmemory {int(spec.memory_mib * MAXMEMORY_SHARE)}mb",
        f"maxmemory-policy {EVICTION[spec.purpose]}",
        "maxmemory-clients 10%",
        "tcp-keepalive 60",
        f"aclfile {spec.contract.secret(USERS)}",
        *(encryption(spec) if encrypted else ()),
    ]
    return "\n".join([*lines, ""])


def encryption(spec: RedisSpec) -> tuple[str, ...]:
    """Of ``redis.conf``: the port takes TLS and nothing else, from clients that need no certificates of their own."""
    held = spec.contract.secret(CERTIFICATE)
    return (
        "port 0",
        f"tls-port {spec.contract.ports['redis']}",
        f"tls-cert-file {held}",
        f"tls-key-file {held}",
        f"tls-ca-cert-file {spec.contract.secret(AUTHORITY)}",
        "tls-auth-clients no",
    )


#: Nobody can be the default user. By its rights the server reads its append-only file at a start, where it judges
#: commands of a transaction or script once more: without them it leaves out what it had accepted.
NOBODY = "user default off ~* &* +@all"


def acl(users: Sequence[User], known: Mapping[str, Sequence[str]], renewer: str | None = None) -> str:
    """The ACL file: only digests of the passwords reach the container, but for the renewer's."""
    lines = [NOBODY, "user health on nopass -@all +ping +acl|load"]
    if renewer:
        lines.append(f"user {RENEWER} on {_digest(renewer)} -@all +config|set")
    for user in sorted(users, key=lambda user: user.name):
        digests = " ".join(_digest(password) for password in known[user.name])
        lines.append(f"user {user.name} on {digests} {user.rules}")
    return "\n".join([*lines, ""])


def _digest(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def asked(contract: Contract, *, encrypted: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Health check, and the gate that has files read again: a certificate each time, which changes no connection."""
    health = contract.health[-1]
    reload = RELOAD.format(health=health, users=contract.secret(USERS))
    if not encrypted:
        return contract.health, ("sh", "-c", reload)
    held, client = contract.secret(CERTIFICATE), f"redis-cli --tls --cacert {contract.secret(AUTHORITY)}"
    renew = (
        f'printf "AUTH {RENEWER} %s\\nCONFIG SET tls-cert-file {held} tls-key-file {held}\\n" '
        f'"$(cat {contract.secret(RENEWER_PASSWORD)})" | redis-cli'
    )
    both = f'[ "$({renew} | grep -c ^OK)" = 2 ] || exit\n{reload}'
    return ("sh", "-c", health.replace("redis-cli", client)), ("sh", "-c", both.replace("redis-cli", client))


def workload(spec: RedisSpec, *, encrypted: bool = False) -> WorkloadSpec:
    """Redis as a workload; a cache needs no volume."""
    contract = spec.contract
    if spec.purpose == "cache":
        path = f"uid={contract.uid},gid={contract.gid},mode=0700"
        contract = contract.model_copy(update={"data": None, "tmpfs": {**contract.tmpfs, "/data": path}})
    health, reload = asked(contract, encrypted=encrypted)
    files = {"users": contract.secret(USERS), "configuration": contract.secret(CONFIGURATION)}
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        kind=spec.kind,
        contract=contract,
        command=("sh", "-c", START.format(**files)),
        ports=spec.ports,
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        health=health,
        ready=reload,
        live=(USERS, *((CERTIFICATE,) if encrypted else ())),
    )
