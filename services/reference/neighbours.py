"""Calls to other services, found in Consul."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from services.common.consul import Consul

ServiceName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class Neighbour(BaseModel):
    """What another service answered to the question for its health."""

    service: str
    status: int
    instances: int
    milliseconds: float


def neighbours_router(consul: Consul) -> APIRouter:
    """Build the routes of a service that has Consul."""
    router = APIRouter(prefix="/neighbours", tags=["neighbours"])

    @router.get("/{service}")
    async def ask(service: ServiceName) -> Neighbour:
        """Find another service in Consul and ask one of its healthy instances how it is."""
        answer = await consul.call(service, "GET", "/health")
        return Neighbour(
            service=service,
            status=answer.status_code,
            instances=len(await consul.instances(service)),
            milliseconds=round(answer.elapsed.total_seconds() * 1000, 2),
        )

    return router
