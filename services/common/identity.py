"""Who the caller is, in the headers that the gateway sets after it has checked the caller's token or key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel

from services.common.logs import correlation_id


class Identity(BaseModel):
    """The gateway's consumer and its groups; empty for a caller that did not have to sign on."""

    username: str = ""
    custom_id: str = ""
    groups: tuple[str, ...] = ()
    correlation_id: str


def identity(request: Request) -> Identity:
    """Read the identity of a request."""
    headers = request.headers
    groups = (group.strip() for group in headers.get("x-consumer-groups", "").split(","))
    return Identity(
        username=headers.get("x-consumer-username", ""),
        custom_id=headers.get("x-consumer-custom-id", ""),
        groups=tuple(group for group in groups if group),
        correlation_id=correlation_id.get(),
    )


class Requires:
    """A FastAPI dependency that lets callers of one role through; the gateway's route should ask for it as well."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, caller: Annotated[Identity, Depends(identity)]) -> Identity:
        """Return the caller. Raises 403."""
        if self._role not in caller.groups:
            raise HTTPException(403, f"This needs the role {self._role}.")
        return caller
