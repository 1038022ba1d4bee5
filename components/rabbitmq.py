"""RabbitMQ, made from one file of definitions: what is accepted survives a restart, and what fails is kept aside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import RabbitmqConnection
from components._contract import Contract
from components._health import SLOW_STARTER
from components._limits import minimum_memory
from components._resources import GeneratedSecret, rotated
from components._tls import CERTIFICATE, server_files
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec

VHOST, EVENTS, DEAD = "nexus", "events", "events.dead"
#: Who makes the services' users, by the management API.
ADMINISTRATOR = "vault"
CONFIGURATION, DEFINITIONS, COOKIE = "rabbitmq.conf", "definitions.json", ".erlang.cookie"
#: A message that has come back this often is not going to succeed (rabbitmq.com, Quorum Queues, Poison Messages).
DELIVERY_LIMIT = 5
#: Messages a queue holds at most. A full queue refuses, so that its publisher knows; a full dead one drops the oldest.
QUEUE_LENGTH, DEAD_LENGTH = 50_000, 10_000
#: Of the memory limit: above the first publishers wait; the write-ahead log's copy in memory takes up to the second
#: (rabbitmq.com, Memory Threshold and Quorum Queues, Memory Use; the log's own default is 512 MiB).
WATERMARK_SHARE, LOG_SHARE = 0.6, 0.1
#: Free space, in MB, below which publishers wait, so that the disk is never full of messages.
DISK_FREE = 512
#: A start takes 6 s of CPU, most of it to load its code; on a busy machine that is minutes.
READY_SECONDS = 300
#: One scheduler that sleeps when it has nothing to do, and no other node: its tools come over loopback.
ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
#: A start reads the definitions; the sum tells the gate which ones.
START = f"""\
cksum < /run/secrets/{DEFINITIONS} > /tmp/imported
exec docker-entrypoint.sh rabbitmq-server"""
#: Another queue is no reason to restart: definitions that the running server has not read are read now.
IMPORT = f"""\
file=/run/secrets/{DEFINITIONS}
cksum < $file > /tmp/wanted
cmp -s /tmp/wanted /tmp/imported && exit
rabbitmqctl --quiet import_definitions $file && mv /tmp/wanted /tmp/imported"""


class Consumer(BaseModel):
    """A service with a queue of its own, and the topics of the events it gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    topics: tuple[str, ...] = Field(min_length=1)

    @property
    def dead(self) -> str:
        """The queue of what it could not process."""
        return f"{self.name}.dead"


class RabbitmqSpec(BaseModel):
    """How RabbitMQ runs; known at plan time. ``generation`` counts the rotations of the administrator's password."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "rabbitmq"
    memory_mib: int = Field(ge=minimum_memory("rabbitmq"))
    ports: tuple[Port, ...]
    consumers: tuple[Consumer, ...] = ()
    cpus: float = Field(default=0, ge=0)
    generation: int = Field(default=0, ge=0)


class Rabbitmq(pulumi.ComponentResource):
    """The server. ``administrator`` is who makes users; ``running.ready`` opens when all queues exist."""

    administrator: RabbitmqConnection
    running: Running

    def __init__(
        self, name: str, spec: RabbitmqSpec, args: ServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Rabbitmq", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cookie = GeneratedSecret(f"{name}-cookie", opts=child)
        secret = rotated(f"{name}-{ADMINISTRATOR}-password", spec.generation, child)
        ports = spec.contract.ports
        self.administrator = RabbitmqConnection(
            host=spec.name,
            port=ports["amqps" if args.tls else "amqp"],
            management_port=ports["management-tls" if args.tls else "management"],
            vhost=VHOST,
            user=ADMINISTRATOR,
            password=secret.value,
            authority=args.tls.authority if args.tls else None,
        )
        self.running = args.engine.run(
            name,
            workload(spec, encrypted=args.tls is not None),
            WorkloadArgs(
                image=args.image,
                network=args.network,
                files={
                    CONFIGURATION: configuration(spec, encrypted=args.tls is not None),
                    COOKIE: cookie.value,
                    DEFINITIONS: secret.value.apply(lambda password: definitions(spec.consumers, password)),
                    **server_files(args.tls),
                },
            ),
            child,
        )
        self.register_outputs({"host": self.running.host, "port": self.administrator.port})


def workload(spec: RabbitmqSpec, *, encrypted: bool = False) -> WorkloadSpec:
    """RabbitMQ as a workload. It looks at its certificate every two minutes by itself (erlang.org, ssl, PEM cache)."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=("bash", "-c", START),
        env={"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG, "RABBITMQ_CTL_ERL_ARGS": "+S 1:1"},
        ports=spec.ports,
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("bash", "-c", f"{spec.contract.health[-1]} || exit\n{IMPORT}"),
        live=(DEFINITIONS, *((CERTIFICATE,) if encrypted else ())),
        ready_timeout=READY_SECONDS,
        check_interval=SLOW_STARTER,
    )


def configuration(spec: RabbitmqSpec, *, encrypted: bool = False) -> str:
    """``rabbitmq.conf``: listeners, limits from the memory, logs to the engine."""
    ports = spec.contract.ports
    settings = {
        **(encryption(spec) if encrypted else plain(spec)),
        "prometheus.tcp.port": ports["metrics"],
        "load_definitions": spec.contract.secret(DEFINITIONS),
        "total_memory_available_override_value": f"{spec.memory_mib}MiB",
        "vm_memory_high_watermark.absolute": f"{int(spec.memory_mib * WATERMARK_SHARE)}MiB",
        "disk_free_limit.absolute": f"{DISK_FREE}MB",
        "raft.wal_max_size_bytes": int(spec.memory_mib * LOG_SHARE) << 20,
        "collect_statistics_interval": 30_000,  # milliseconds; 5 s by default, which is most of what it does at rest
        "heartbeat": 30,
        "log.file": "false",
        "log.console": "true",
        "log.console.level": "info",
        "log.console.formatter": "json",  # its plain text has terminal colours in it, whatever reads it
        "log.connection.level": "error",  # each health check is a connection
    }
    return "".join(f"{key} = {value}\n" for key, value in settings.items())


def plain(spec: RabbitmqSpec) -> dict[str, str | int]:
    """Listeners that do not encrypt."""
    ports = spec.contract.ports
    return {"listeners.tcp.default": ports["amqp"], "management.tcp.port": ports["management"]}


def encryption(spec: RabbitmqSpec) -> dict[str, str | int]:
    """Listeners that encrypt, on ports of their own. In plain it answers the health check in its container alone."""
    ports, held = spec.contract.ports, spec.contract.secret(CERTIFICATE)
    return {
        "listeners.tcp.local": f"127.0.0.1:{ports['amqp']}",
        "listeners.ssl.default": ports["amqps"],
        "management.ssl.port": ports["management-tls"],
        **{
            f"{part}.{key}": held
            for part in ("ssl_options", "management.ssl")
            for key in ("certfile", "keyfile", "cacertfile")
        },
        "ssl_options.verify": "verify_none",  # of clients: they log in by passwords
    }


def definitions(consumers: Iterable[Consumer], password: str) -> str:
    """The whole of what the server has: its virtual host, administrator, exchanges, queues, bindings and policies."""
    here = {"vhost": VHOST}
    lasting = {"durable": True, "auto_delete": False}
    exchange = {**here, **lasting, "type": "topic", "internal": False, "arguments": {}}
    queue = {**here, **lasting, "arguments": {"x-queue-type": "quorum"}}
    known = sorted(consumers, key=lambda consumer: consumer.name)
    bound = [(EVENTS, c.name, topic) for c in known for topic in c.topics]
    bound += [(DEAD, c.dead, c.name) for c in known]
    everything = {
        "vhosts": [{"name": VHOST}],
        "users": [
            {
                "name": ADMINISTRATOR,
                "password_hash": password_hash(ADMINISTRATOR, password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ["administrator"],
            }
        ],
        "permissions": [],
        "exchanges": [{**exchange, "name": name} for name in (EVENTS, DEAD)],
        "queues": [{**queue, "name": name} for c in known for name in (c.name, c.dead)],
        "bindings": [
            {
                **here,
                "source": source,
                "destination": destination,
                "destination_type": "queue",
                "routing_key": key,
                "arguments": {},
            }
            for source, destination, key in bound
        ],
        # Limits are policies, as a queue's own arguments can never be changed.
        "policies": [policy for c in known for policy in _policies(c)],
    }
    return json.dumps(everything, indent=1, sort_keys=True)


def _policies(consumer: Consumer) -> list[dict[str, Any]]:
    """A consumer's queue and its dead one. ``at-least-once``: a message leaves the one when the other has it."""
    limits: dict[str, dict[str, str | int]] = {
        consumer.name: {
            "delivery-limit": DELIVERY_LIMIT,
            "max-length": QUEUE_LENGTH,
            "overflow": "reject-publish",
            "dead-letter-exchange": DEAD,
            "dead-letter-routing-key": consumer.name,
            "dead-letter-strategy": "at-least-once",
        },
        consumer.dead: {"max-length": DEAD_LENGTH, "overflow": "drop-head"},
    }
    return [
        {
            "vhost": VHOST,
            "name": name,
            "pattern": f"^{name.replace('.', '[.]')}$",
            "apply-to": "queues",
            "priority": 0,
            "definition": definition,
        }
        for name, definition in limits.items()
    ]


def password_hash(user: str, password: str) -> str:
    """As RabbitMQ keeps it (rabbitmq.com, Passwords). The salt is derived, so that the file is the same every time."""
    salt = hashlib.sha256(f"{user} {password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
