"""Health checks as numbers: how often a container is asked, and how Docker writes durations."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

#: The interval for a server that takes more than 10 s to start: both times add up until a hung one is well again.
SLOW_STARTER = 6


class HealthCheck(BaseModel):
    """The server's own client, run inside the container by the engine.

    Each run starts a process: 32 checks every second keep 1.4 of 2 cores busy, every 10 s 0.2 of 2 (measured). So the
    interval is long, and an `up` does not wait for the engine's first check: it asks by itself (``workload.py``).
    A hung server is found after at most two intervals and two timeouts, 30 s, and restarted by the healer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[str, ...] = Field(min_length=1)
    interval: int = Field(default=10, ge=1, le=3600)
    timeout: int = Field(default=5, ge=1, le=600)
    retries: int = Field(default=2, ge=1, le=20)
    start_period: int = Field(default=30, ge=0, le=3600)


def duration(seconds: int) -> str:
    """Seconds as the engine reports them back (Go's notation: ``90`` is ``1m30s``), or every preview would differ."""
    hours, rest = divmod(seconds, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{secs}s"
    return f"{minutes}m{secs}s" if minutes else f"{secs}s"
