"""A service's routes at the gateway, who may use them and how often, and the upstream that balances its instances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kong as kong
from pydantic import BaseModel, ConfigDict, Field

from components._connections import Endpoint, RedisConnection
from components.kong import RESPONSES

#: The route's `auth` when nobody need sign in.
PUBLIC = "public"
#: The tag by which a route says what it asks for, before the plugin that asks is there (``policy/rules/gateway.py``).
AUTH_TAG = "auth:{}"
#: Failures in a row until the gateway leaves a target out, and successes until it is back (Kong, health checks).
UNHEALTHY_AFTER, HEALTHY_AFTER = 2, 1
#: Seconds between the gateway's checks of a target that failed: short, so that it is soon back.
CHECK_FAILED_EVERY = 2
#: Answers that count against an instance. 429 is Kong's default too, but says that the client is too fast.
FAILURES = [500, 502, 503, 504]
#: A host that names an upstream has no port of its own; Kong wants one all the same (its default).
UPSTREAM_PORT = 80
#: Milliseconds that counting may take: a hung Redis must not hold requests for Kong's default of two seconds.
COUNTING_TIMEOUT = 200
#: Users of a role are one consumer to the gateway, so an answer is kept for one token, not for one consumer.
VARY = ["Authorization", "Accept", "Accept-Encoding"]


class Frozen(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Route(Frozen):
    """A path of the gateway that leads to the service; ``auth`` is the role that it takes, or ``public``."""

    path: str = Field(pattern="^/")
    strip_path: bool = True
    auth: str = PUBLIC
    methods: tuple[str, ...] = ()


class RateLimit(Frozen):
    """Requests that one address may make of the service; none of the two: as many as it likes."""

    second: int | None = Field(default=None, ge=1)
    minute: int | None = Field(default=None, ge=1)


class Breaker(Frozen):
    """Failures in a row, seen on real requests, that cut an instance off until the active checks pass."""

    errors: int = Field(default=5, ge=1, le=255)
    timeouts: int = Field(default=2, ge=1, le=255)


class PublicationSpec(Frozen):
    """How a service is published; known at plan time. Times are in seconds."""

    stack: str
    routes: tuple[Route, ...] = Field(min_length=1)
    rate_limit: RateLimit = RateLimit()
    cache: int = Field(default=0, ge=0, le=86400, description="how long answers to GET are kept; 0 keeps none")
    retries: int = Field(default=2, ge=0, le=32767)
    connect_timeout: int = Field(default=2, ge=1, le=3600)
    timeout: int = Field(default=30, ge=1, le=3600)
    breaker: Breaker = Breaker()
    size_mib: int | None = Field(default=None, ge=1, description="the largest request; the gateway's own if None")
    health_path: str = Field(default="/health", pattern="^/")
    check_interval: int = Field(default=10, ge=1, le=3600)
    check_timeout: int = Field(default=3, ge=1, le=600)


@dataclass(frozen=True, kw_only=True)
class PublicationArgs:
    """What a publication is made from.

    ``counters`` is where the gateway counts requests; without, it counts in itself. ``store`` is where Kong keeps its
    entries: when that goes away with the stack, they need not be deleted one by one, which could not be done either
    once Kong is down.
    """

    endpoint: Endpoint
    counters: RedisConnection | None = None
    store: pulumi.Resource | None = None


class Publication(pulumi.ComponentResource):
    """One service at the gateway. Its provider comes with ``opts``."""

    def __init__(
        self, name: str, spec: PublicationSpec, args: PublicationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Publication", name, None, opts)
        common: dict[str, Any] = {
            "tags": [spec.stack],
            "opts": pulumi.ResourceOptions(parent=self, deleted_with=args.store),
        }
        service = kong.Service(
            f"{name}-gateway",
            name=args.endpoint.name,
            protocol="http",
            host=_upstream(name, spec, args.endpoint, common).name,
            port=UPSTREAM_PORT,
            retries=spec.retries,
            connect_timeout=spec.connect_timeout * 1000,
            read_timeout=spec.timeout * 1000,
            write_timeout=spec.timeout * 1000,
            **common,
        )
        routes = [
            kong.Route(
                f"{name}-route-{number}",
                name=f"{args.endpoint.name}-{number}",
                service_id=service.id,
                protocols=["http", "https"],
                paths=[route.path],
                methods=methods(route),
                strip_path=route.strip_path,
                tags=[spec.stack, AUTH_TAG.format(route.auth)],
                opts=common["opts"],
            )
            for number, route in enumerate(spec.routes)
        ]
        for number, role in guarded(spec.routes).items():
            scope = {"service_id": service.id} if number is None else {"route_id": routes[number].id}
            suffix = "" if number is None else f"-{number}"
            kong.Plugin(
                f"{name}-acl{suffix}", name="acl", config_json=configuration({"allow": [role]}), **scope, **common
            )
        for plugin, config in plugins(spec, args.counters).items():
            kong.Plugin(f"{name}-{plugin}", name=plugin, service_id=service.id, config_json=config, **common)
        self.register_outputs({"paths": [route.path for route in spec.routes]})


def _upstream(name: str, spec: PublicationSpec, endpoint: Endpoint, common: Mapping[str, Any]) -> kong.Upstream:
    """What a request is balanced over: each instance of the service."""
    upstream = kong.Upstream(
        f"{name}-upstream", name=f"{endpoint.name}.upstream", healthchecks=healthchecks(spec), **common
    )
    for number, instance in enumerate(endpoint.instances, start=1):
        kong.Target(
            f"{name}-target" if number == 1 else f"{name}-target-{number}",
            upstream_id=upstream.id,
            target=f"{instance}:{endpoint.port}",
            weight=100,
            **common,
        )
    return upstream


def configuration(values: Mapping[str, Any]) -> str:
    """A plugin's settings as the provider takes them; equal ones are equal text."""
    return json.dumps(values, sort_keys=True)


def methods(route: Route) -> list[str] | None:
    """What a route answers: with its own methods also the preflight of browsers, which would not be found else."""
    return sorted({*route.methods, "OPTIONS"}) if route.methods else None


def guarded(routes: tuple[Route, ...]) -> dict[int | None, str]:
    """The role that is asked for by each route's number, or by None when it is the same for all of them."""
    roles = [route.auth for route in routes]
    asked = enumerate(roles) if len(set(roles)) > 1 else [(None, roles[0])]
    return {number: role for number, role in asked if role != PUBLIC}


def plugins(spec: PublicationSpec, counters: RedisConnection | None) -> dict[str, pulumi.Input[str]]:
    """The settings of the service's further plugins by their names; a secret where they hold a password."""
    found: dict[str, pulumi.Input[str]] = {}
    if limits := spec.rate_limit.model_dump(exclude_none=True):
        found["rate-limiting"] = rate_limiting(limits, counters)
    if spec.cache:
        found["proxy-cache"] = configuration(
            {
                "strategy": "memory",
                "memory": {"dictionary_name": RESPONSES},
                "cache_ttl": spec.cache,
                "request_method": ["GET", "HEAD"],
                "response_code": [200],
                "content_type": ["application/json", "application/json; charset=utf-8"],
                "vary_headers": VARY,
            }
        )
    if spec.size_mib:
        found["request-size-limiting"] = configuration({"allowed_payload_size": spec.size_mib})
    return found


def rate_limiting(limits: Mapping[str, int], counters: RedisConnection | None) -> pulumi.Input[str]:
    """Limits by address: the gateway knows roles, not people. Requests pass while Redis does not answer."""
    settings: dict[str, Any] = {**limits, "limit_by": "ip", "fault_tolerant": True, "policy": "local"}
    if counters is None:
        return configuration(settings)
    redis = {
        "host": counters.host,
        "port": counters.port,
        "username": counters.user,
        **({"ssl": True, "ssl_verify": True, "server_name": counters.host} if counters.authority is not None else {}),
        "timeout": COUNTING_TIMEOUT,
    }
    settings["policy"] = "redis"
    return pulumi.Output.secret(counters.password).apply(
        lambda password: configuration({**settings, "redis": {**redis, "password": password}})
    )


def healthchecks(spec: PublicationSpec) -> kong.UpstreamHealthchecksArgs:
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
            healthy=kong.UpstreamHealthchecksPassiveHealthyArgs(successes=HEALTHY_AFTER),
            unhealthy=kong.UpstreamHealthchecksPassiveUnhealthyArgs(
                http_statuses=FAILURES,
                http_failures=spec.breaker.errors,
                tcp_failures=spec.breaker.timeouts,
                timeouts=spec.breaker.timeouts,
            ),
        ),
    )
