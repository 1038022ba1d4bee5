"""What one entry of the catalogue may say. Everything else about a service follows from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Port = Annotated[int, Field(ge=1000, le=65535)]
#: A topic of events; in what a service consumes, `*` stands for one word and `#` for any number (AMQP topic exchanges).
Topic = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]*|\*|#)(\.([a-z][a-z0-9_-]*|\*|#))*$")]
#: A share of the whole.
Share = Annotated[float, Field(gt=0, le=1)]
#: Below 0.9 a budget would never be spent; 1 leaves none.
Objective = Annotated[float, Field(ge=0.9, lt=1)]
#: Up to the last bucket of the services' histogram, beyond which nothing is told apart (services/common/metrics.py).
Seconds = Annotated[float, Field(gt=0, lt=10)]
Count = Annotated[int, Field(ge=1)]


class Entry(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RateLimit(Entry):
    """Requests that one address may make of the service; more are answered 429."""

    second: int | None = Field(default=None, ge=1, description="In any one second.")
    minute: int | None = Field(default=None, ge=1, description="In any one minute.")


class Route(Entry):
    """A path of the gateway that leads to the service."""

    path: str = Field(description="Path prefix with a leading slash; `/api/v1` matches `/api/v1/...` too.")
    strip_path: bool = Field(default=True, description="Remove the prefix before the request is passed on.")
    auth: str = Field(
        default="user",
        description="The role a caller needs (`nexus:roles`), or `public`: nobody need sign in.",
    )
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...] = Field(
        default=(), description="The only methods it answers; all by default."
    )


class Breaker(Entry):
    """The circuit breaker: failures in a row, seen on real requests, that cut an instance off until checks pass."""

    errors: int = Field(default=5, ge=1, le=100, description="Answers of 500, 502, 503 or 504.")
    timeouts: int = Field(default=2, ge=1, le=100, description="Refused connections or answers that did not come.")


class Gateway(Entry):
    """How the gateway treats all routes of a service."""

    rate_limit: RateLimit = Field(default=RateLimit(minute=1200), description="Requests allowed; see below.")
    cache: int = Field(default=0, ge=0, le=86400, description="Seconds a GET's answer is kept; 0 keeps none.")
    retries: int = Field(default=2, ge=0, le=10, description="Further instances tried when one cannot be reached.")
    connect_timeout: int = Field(default=2, ge=1, le=600, description="Seconds to reach an instance.")
    timeout: int = Field(default=30, ge=1, le=3600, description="Seconds an instance may be silent.")
    breaker: Breaker = Field(default=Breaker(), description="When an instance is cut off; see below.")


class Health(Entry):
    """The HTTP liveness check of a service of kind `service`."""

    path: str = Field(default="/health", pattern="^/", description="Answers 200 while the process works.")
    ready_path: str = Field(default="/ready", pattern="^/", description="Answers 200 once its dependencies answer.")
    interval: int = Field(
        default=10, ge=1, le=3600, description="Seconds between two checks by Consul and the gateway."
    )
    timeout: int = Field(default=3, ge=1, le=600, description="Seconds until an unanswered check counts as failed.")


class Alerts(Entry):
    """When the service's alerts fire, and of which nobody is told. A server has `silenced` alone."""

    objective: Objective = Field(
        default=0.999, description="Share of requests answered without a server error; the rest is the error budget."
    )
    error_ratio: Share = Field(default=0.05, description="Share of server errors within 5 minutes; more is an alert.")
    p99: Seconds = Field(default=0.1, description="Seconds within which 99 of 100 requests are answered.")
    memory: Share = Field(default=0.9, description="Share of its memory limit that an instance may hold.")
    in_flight: Count = Field(default=50, description="Requests that an instance may be answering at a time.")
    queue: Count = Field(default=1000, description="Messages that may wait in its queue, where it consumes events.")
    silenced: tuple[str, ...] = Field(
        default=(), description="Alerts of docs/alerts.md that are shown, but of which nobody is told."
    )


class Scale(Entry):
    """The bounds within which an environment may choose the number of replicas."""

    least: int = Field(default=1, ge=1, le=20, description="Replicas at least.")
    most: int = Field(default=10, ge=1, le=20, description="Replicas at most.")

    @model_validator(mode="after")
    def _in_order(self) -> Scale:
        if self.least > self.most:
            raise ValueError(f"least ({self.least}) is more than most ({self.most})")
        return self


class Service(Entry):
    """One entry of `infra/services.yaml`."""

    name: Name
    group: Literal["data", "platform", "nags", "performance", "application"] = Field(description="For people.")
    kind: str = Field(
        default="service", description="Which component runs it; `service` is an application of any image."
    )
    port: Port = Field(description="Host port; environments add their `portOffset`.")
    extra_ports: dict[str, Port] = Field(default_factory=dict, description="Further host ports by their role.")
    image: str = Field(default="service", description="An image of `infra/images.yaml`, or any image reference.")
    memory: int = Field(default=128, description="Memory limit in MiB.")
    cpus: float = Field(default=1, gt=0, le=64, description="CPU limit.")
    replicas: int = Field(default=1, ge=1, le=20, description="Instances; what holds data has one.")
    scale: Scale = Field(default=Scale(), description="Bounds of `replicas`; see below.")
    data: bool = Field(default=False, description="Holds data that must not be lost: protected, and backed up.")
    needs: tuple[str, ...] = Field(default=(), description="Services it connects to.")
    database: str | None = Field(
        default=None, description="Its PostgreSQL database; by default named after the service."
    )
    history: str = Field(
        default="items", description="The schema of its database: a folder of `services/migrations`, or `none`."
    )
    acknowledged: tuple[str, ...] = Field(
        default=(),
        description="Revisions of that schema that may lose data, or that only a newer version knows; else refused.",
    )
    redis: Literal["session", "cache"] = Field(
        default="cache", description="What it keeps in Redis: `session` is never evicted, `cache` may be."
    )
    publishes: tuple[Topic, ...] = Field(default=(), description="Topics of the events it sends.")
    consumes: tuple[Topic, ...] = Field(default=(), description="Topics of the events its queue gets.")
    role: str = Field(default="items", description="What the reference service does in this place.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Further settings of that role.")
    encrypts: bool = Field(default=False, description="Has a key in Vault to encrypt data with.")
    routes: tuple[Route, ...] = Field(default=(), description="Its paths at the gateway.")
    gateway: Gateway = Field(default=Gateway(), description="How the gateway treats them.")
    health: Health = Field(default=Health(), description="Its liveness check.")
    alerts: Alerts = Field(default=Alerts(), description="Limits of its alerts; see below.")
    enabled: bool = Field(default=True, description="Run it.")

    @property
    def store(self) -> str:
        """Its database in PostgreSQL, which is its owner's name too."""
        return self.database or self.name.replace("-", "_")

    @property
    def ports(self) -> dict[str, int]:
        """All host ports by role; the main one is `main`."""
        return {"main": self.port, **self.extra_ports}

    @property
    def runs_with(self) -> tuple[str, ...]:
        """What must run for it: its needs, and for an application what lists it, publishes it and keeps its secrets."""
        if self.kind != "service":
            return self.needs
        return (*self.needs, "vault", "consul", *(("kong",) if self.routes else ()))
