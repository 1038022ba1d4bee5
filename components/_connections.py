"""What one service must know to reach another. Passwords are secret outputs; everything else is known at plan time."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class PostgresConnection:
    """One database as its owner sees it, on the platform's network."""

    host: str
    port: int
    database: str
    user: str
    password: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class RedisConnection:
    """Redis as one ACL user sees it, on the platform's network."""

    host: str
    port: int
    user: str
    password: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A service as others reach it on the platform's network, over HTTP."""

    name: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"
