"""What one service must know to reach another. Passwords are secret outputs; everything else is known at plan time.

A connection with an ``authority``, the root's certificate, is encrypted, and the server checked by it and by its name.
"""

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
    authority: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class RedisConnection:
    """Redis as one ACL user sees it, on the platform's network."""

    host: str
    port: int
    user: str
    password: pulumi.Output[str]
    authority: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class RabbitmqConnection:
    """RabbitMQ as one user sees it, on the platform's network: over AMQP, and over its management API."""

    host: str
    port: int
    management_port: int
    vhost: str
    user: str
    password: pulumi.Output[str]
    authority: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A service as others reach it on the platform's network: ``host`` is any instance, ``hosts`` names each."""

    name: str
    host: str
    port: int
    hosts: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """``host:port`` of any instance."""
        return f"{self.host}:{self.port}"

    @property
    def instances(self) -> tuple[str, ...]:
        """The names of all instances."""
        return self.hosts or (self.host,)
