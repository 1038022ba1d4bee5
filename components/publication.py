"""A service's routes at the gateway, and the upstream that balances them over its instances."""

from __future__ import annotations

import pulumi
import pulumi_kong as kong
from pydantic import BaseModel, ConfigDict, Field

from components._connections import Endpoint

#: Failures in a row until the gateway leaves a target out, and successes until it is back (Kong, health checks).
UNHEALTHY_AFTER, HEALTHY_AFTER = 2, 1
#: Seconds between the gateway's checks of a target that failed: short, so that it is soon back.
CHECK_FAILED_EVERY = 2
#: The circuit breaker: errors in a row, seen on real requests, that cut a target off.
BREAKER_ERRORS, BREAKER_CONNECT_ERRORS = 5, 2
#: A host that names an upstream has no port of its own; Kong wants one all the same (its default).
UPSTREAM_PORT = 80


class Route(BaseModel):
    """A path of the gateway that leads to the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(pattern="^/")
    strip_path: bool = True


class PublicationSpec(BaseModel):
    """How a service is published; known at plan time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    routes: tuple[Route, ...] = Field(min_length=1)
    health_path: str = Field(default="/health", pattern="^/")
    interval: int = Field(default=10, ge=1, le=3600)
    timeout: int = Field(default=3, ge=1, le=600)


class Publication(pulumi.ComponentResource):
    """One service at the gateway. Its provider comes with ``opts``.

    ``store`` is where Kong keeps it: when that goes away with the stack, the entries need not be deleted one by one,
    which could not be done either once Kong is down.
    """

    def __init__(
        self,
        name: str,
        spec: PublicationSpec,
        endpoint: Endpoint,
        store: pulumi.Resource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nexus:index:Publication", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=store)
        tags = [spec.stack]
        upstream = kong.Upstream(
            f"{name}-upstream",
            name=f"{endpoint.name}.upstream",
            healthchecks=healthchecks(spec),
            tags=tags,
            opts=child,
        )
        kong.Target(
            f"{name}-target", upstream_id=upstream.id, target=endpoint.address, weight=100, tags=tags, opts=child
        )
        service = kong.Service(
            f"{name}-gateway",
            name=endpoint.name,
            protocol="http",
            host=upstream.name,
            port=UPSTREAM_PORT,
            tags=tags,
            opts=child,
        )
        for number, route in enumerate(spec.routes):
            kong.Route(
                f"{name}-route-{number}",
                name=f"{endpoint.name}-{number}",
                service_id=service.id,
                protocols=["http", "https"],
                paths=[route.path],
                strip_path=route.strip_path,
                tags=tags,
                opts=child,
            )
        self.register_outputs({"paths": [route.path for route in spec.routes]})


def healthchecks(spec: PublicationSpec) -> kong.UpstreamHealthchecksArgs:
    """Active checks by the gateway, and passive ones as a circuit breaker."""
    return kong.UpstreamHealthchecksArgs(
        active=kong.UpstreamHealthchecksActiveArgs(
            type="http",
            http_path=spec.health_path,
            timeout=spec.timeout,
            healthy=kong.UpstreamHealthchecksActiveHealthyArgs(interval=spec.interval, successes=HEALTHY_AFTER),
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
