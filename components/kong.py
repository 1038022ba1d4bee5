"""Kong, the gateway. Its configuration lives in PostgreSQL and is written through the Admin API."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._connections import PostgresConnection
from components._contract import Contract
from components._limits import minimum_memory
from components._resources import rotated
from components._tls import AUTHORITY, client_files
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

PASSWORD_FILE = "postgres-password"  # noqa: S105  the file's name
#: The Admin API takes a password: from the platform's network it could be reached by every service. nginx reads the
#: file for each request, so that a new password needs no restart.
ADMIN_USER, ADMIN_FILE = "nexus", "admin.htpasswd"
PLAIN_HTTP_FILE = "plain-http.conf"
#: The memory that kept responses go to: apart from Kong's own caches, so that emptying it costs nothing else.
RESPONSES = "gateway_responses"
RESPONSES_SIZE = "16m"
#: Of Kong's own caches; the default of 128 MiB each is for thousands of routes and consumers.
CACHE_SIZE = "24m"
#: Seconds a name of the network is believed: a container that was made again has another address, while the engine's
#: own name server says 600 (docs.docker.com, embedded DNS). One that is not known yet may be known a second later.
NAMES_FOR, UNKNOWN_FOR = "2", "1"
#: Seconds and requests after which an idle connection to a service is closed; the services wait 75 s.
KEEPALIVE_SECONDS, KEEPALIVE_REQUESTS = "60", "10000"
#: The schema is made and upgraded before each start. It retries because PostgreSQL may still be starting, at first
#: as after a restart of the whole engine. The image's entrypoint turns the password's file into Kong's own setting.
START = """\
sha256sum < {password} > /tmp/password-in-use
until /docker-entrypoint.sh kong migrations bootstrap; do sleep 0.3; done
/docker-entrypoint.sh kong migrations up && /docker-entrypoint.sh kong migrations finish
exec /docker-entrypoint.sh kong docker-start"""
#: Asked during `up`, and again when the password's file has changed: Kong reads it once more, and requests go on, those
#: under way in the workers that had the old one (kong/cmd/reload.lua: the new environment is written to the prefix,
#: then nginx gets a HUP). Then the health check, which follows as arguments.
RELOAD = """\
new=$(sha256sum < {password})
if [ "$new" != "$(cat /tmp/password-in-use)" ]; then
    /docker-entrypoint.sh kong reload && echo "$new" > /tmp/password-in-use || exit
fi
exec "$@\""""


class KongSpec(BaseModel):
    """How Kong runs; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    contract: Contract
    name: str = "kong"
    stand_in: bool = False
    memory_mib: int = Field(ge=minimum_memory("kong"))
    cpus: float = Field(default=0, ge=0)
    admin: Port
    proxy: Port
    proxy_tls: Port
    redirect: int | None = Field(
        default=None, ge=1, le=65535, description="answer plain HTTP with the address of this port, as clients see it"
    )
    generation: int = Field(default=0, ge=0, description="how often the Admin API's password was rotated")
    trusted: tuple[str, ...] = Field(default=(), description="networks of proxies whose forwarding headers are true")
    workers: int = Field(default=1, ge=1, le=64)


@dataclass(frozen=True, kw_only=True)
class KongArgs(ServerArgs):
    """What Kong is made from."""

    database: PostgresConnection


class Kong(pulumi.ComponentResource):
    """The gateway. What a provider is configured with: ``admin_url``, known once Kong runs, and ``admin_password``.

    ``internal`` is the Admin API's address on the platform's network.
    """

    admin_url: pulumi.Output[str]
    admin_password: pulumi.Output[str]
    internal: str
    running: Running

    def __init__(self, name: str, spec: KongSpec, args: KongArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nexus:index:Kong", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.internal = f"http://{spec.name}:{spec.contract.ports['admin']}"
        self.admin_password = rotated(f"{name}-admin-password", spec.generation, child).value
        files: dict[str, pulumi.Input[str]] = {
            PASSWORD_FILE: args.database.password,
            **client_files(args.database.authority),
            ADMIN_FILE: self.admin_password.apply(lambda password: f"{ADMIN_USER}:{{PLAIN}}{password}\n"),
        }
        if spec.redirect:
            files[PLAIN_HTTP_FILE] = plain_http(spec.redirect)
        self.running = args.engine.run(
            name,
            workload(spec, args.database),
            WorkloadArgs(image=args.image, network=args.network, files=files),
            child,
        )
        self.admin_url = self.running.ready.after(f"http://{reachable(spec.admin.bind)}:{spec.admin.host}")
        self.register_outputs({"adminUrl": self.admin_url})


def plain_http(port: int) -> str:
    """What nginx answers plain requests with. Kong's own redirect of a route leaves the port out."""
    return f"if ($scheme = http) {{ return 308 https://$host{'' if port == 443 else f':{port}'}$request_uri; }}\n"


def workload(spec: KongSpec, database: PostgresConnection) -> WorkloadSpec:
    """Kong as a workload."""
    held = spec.contract.secret(PASSWORD_FILE)
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        stand_in=spec.stand_in,
        contract=spec.contract,
        command=("sh", "-c", START.format(password=held)),
        env={
            "KONG_DATABASE": "postgres",
            "KONG_PG_HOST": database.host,
            "KONG_PG_PORT": str(database.port),
            "KONG_PG_DATABASE": database.database,
            "KONG_PG_USER": database.user,
            "KONG_PG_PASSWORD_FILE": held,
            **(encryption(spec) if database.authority is not None else {}),
            **listeners(spec),
            **tuning(spec),
        },
        ports=(spec.admin, spec.proxy, spec.proxy_tls),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("sh", "-c", RELOAD.format(password=held), "reload", *spec.contract.health),
        live=(ADMIN_FILE, PASSWORD_FILE),
    )


def encryption(spec: KongSpec) -> dict[str, str]:
    """How Kong connects to PostgreSQL, and what it checks servers by, that of its counters too."""
    return {
        "KONG_PG_SSL": "on",
        "KONG_PG_SSL_REQUIRED": "on",
        "KONG_PG_SSL_VERIFY": "on",
        "KONG_LUA_SSL_TRUSTED_CERTIFICATE": f"system,{spec.contract.secret(AUTHORITY)}",
        "KONG_LUA_SSL_VERIFY_DEPTH": "2",  # the issuing authority is between a server and the root
    }


def listeners(spec: KongSpec) -> dict[str, str]:
    """Where Kong listens, and whose word it takes for the client's address."""
    ports = spec.contract.ports
    return {
        "KONG_ADMIN_LISTEN": f"0.0.0.0:{ports['admin']}",
        "KONG_ADMIN_GUI_LISTEN": "off",
        "KONG_NGINX_ADMIN_AUTH_BASIC": "kong",
        "KONG_NGINX_ADMIN_AUTH_BASIC_USER_FILE": spec.contract.secret(ADMIN_FILE),
        "KONG_STATUS_LISTEN": f"0.0.0.0:{ports['status']}",
        "KONG_PROXY_LISTEN": f"0.0.0.0:{ports['proxy']} backlog=4096, "
        f"0.0.0.0:{ports['proxy-tls']} http2 ssl backlog=4096",
        **({"KONG_NGINX_PROXY_INCLUDE": spec.contract.secret(PLAIN_HTTP_FILE)} if spec.redirect else {}),
        **(
            {
                "KONG_TRUSTED_IPS": ",".join(spec.trusted),
                "KONG_REAL_IP_HEADER": "X-Forwarded-For",
                "KONG_REAL_IP_RECURSIVE": "on",
            }
            if spec.trusted
            else {}
        ),
    }


def tuning(spec: KongSpec) -> dict[str, str]:
    """Memory, connections, names and logs."""
    return {
        "KONG_NGINX_WORKER_PROCESSES": str(spec.workers),
        "KONG_MEM_CACHE_SIZE": CACHE_SIZE,
        "KONG_NGINX_HTTP_LUA_SHARED_DICT": f"{RESPONSES} {RESPONSES_SIZE}",
        "KONG_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT": KEEPALIVE_SECONDS,
        "KONG_UPSTREAM_KEEPALIVE_MAX_REQUESTS": KEEPALIVE_REQUESTS,
        "KONG_DNS_ORDER": "LAST,A",
        "KONG_DNS_VALID_TTL": NAMES_FOR,
        "KONG_DNS_ERROR_TTL": UNKNOWN_FOR,
        "KONG_DNS_NOT_FOUND_TTL": UNKNOWN_FOR,
        "KONG_PROXY_ACCESS_LOG": "/dev/stdout",
        "KONG_ADMIN_ACCESS_LOG": "off",
        "KONG_STATUS_ACCESS_LOG": "off",
        "KONG_ANONYMOUS_REPORTS": "off",
    }
