"""What Prometheus reads: rate, errors and duration of requests, the pools, the dependencies, the process."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from services import __version__
from services.common.dependency import Dependency
from services.common.settings import Settings

#: Seconds; dense around the service level, 100 ms at the gateway.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Where the kernel tells a container its memory limit: cgroups of version 2, and 1 (Linux, cgroup-v2 and memory).
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class _Dependencies(Collector):
    """Reads the dependencies' state when scraped, so that nothing has to be kept up to date."""

    def __init__(self, dependencies: Sequence[Dependency]) -> None:
        self._dependencies = dependencies

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("nexus_dependency_up", "1 when the last probe was answered", labels=["dependency"])
        latency = GaugeMetricFamily(
            "nexus_dependency_latency_seconds", "Time of the last answered probe", labels=["dependency"]
        )
        pool = GaugeMetricFamily(
            "nexus_pool_connections", "Connections by state; max is the limit", labels=["dependency", "state"]
        )
        for dependency in self._dependencies:
            up.add_metric([dependency.name], float(dependency.up))
            if dependency.last is not None and dependency.last.latency is not None:
                latency.add_metric([dependency.name], dependency.last.latency)
            for state, count in dependency.connections().items():
                pool.add_metric([dependency.name, state], count)
        return up, latency, pool


class MemoryLimit(Collector):
    """The limit that is in force: the engine changes it while the container runs. Without one there is no series."""

    def __init__(self, files: Sequence[Path] = MEMORY_LIMITS) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        """Read the first file that there is."""
        limit = GaugeMetricFamily("nexus_memory_limit_bytes", "Memory that the container may hold")
        text = next((file.read_text().strip() for file in self._files if file.exists()), "max")
        if text != "max":
            limit.add_metric([], float(text))
        return [limit]


class Metrics:
    """The service's own registry, so that several applications can live in one process."""

    def __init__(self, settings: Settings, dependencies: Sequence[Dependency]) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(MemoryLimit())
        registry.register(_Dependencies(dependencies))
        route = ["method", "route"]
        self.requests = Counter("http_requests", "Requests answered", [*route, "status"], registry=registry)
        self.duration = Histogram(
            "http_request_duration_seconds", "Time to answer", route, buckets=BUCKETS, registry=registry
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being answered", registry=registry)
        self.cache = Counter("nexus_cache_requests", "Cache look-ups by result", ["result"], registry=registry)
        self.items = Counter("nexus_items_created", "Items stored", registry=registry)
        self.published = Counter("nexus_messages_published", "Messages confirmed", ["key"], registry=registry)
        self.consumed = Counter("nexus_messages_consumed", "Messages by result", ["result"], registry=registry)
        self.completions = Counter("nexus_ai_completions", "Completions by result", ["result"], registry=registry)
        self.tokens = Counter("nexus_ai_tokens", "Tokens that completions cost", registry=registry)
        Info("nexus_build", "What runs here", registry=registry).info(
            {
                "version": __version__,
                "python": platform.python_version(),
                "service": settings.service,
                "stack": settings.stack,
            }
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the document and its media type, in the format the scraper accepts."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type
