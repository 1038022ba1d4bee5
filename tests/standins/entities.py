"""Entities that many tests begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.standins.echo import Echo
from tests.standins.gateway import Gateway

Make = Callable[[str], Echo]


def route(kong: Gateway, echo: Echo, service: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A route to the echo server over a service of its own."""
    made = kong.post("/services", host="127.0.0.1", port=echo.port, **(service or {}))
    return kong.post("/routes", service={"id": made["id"]}, **(fields or {"paths": ["/"]}))


def pool(kong: Gateway, targets: dict[str, int], service: dict[str, Any] | None = None, **upstream: Any) -> str:
    """An upstream with targets by weight, a service on it, a route /; the upstream's name."""
    kong.post("/upstreams", name="pool", **upstream)
    for target, weight in targets.items():
        kong.post("/upstreams/pool/targets", target=target, weight=weight)
    made = kong.post("/services", host="pool", **(service or {}))
    kong.post("/routes", service={"id": made["id"]}, paths=["/"])
    return "pool"


def health(kong: Gateway) -> dict[str, str]:
    return {t["target"]: t["health"] for t in kong.admin.get("/upstreams/pool/health").json()["data"]}
