"""Where the servers have their metrics. A kind without a row has none that Prometheus could read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.entry import Service


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """One document of metrics: the port's name in the contract, the path, and what tells it from the kind's others."""

    port: str
    path: str = "/metrics"
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    part: str = ""
    authorized: bool = False

    def job(self, entry: Service) -> str:
        """The job's name: the server's own for its first document."""
        return f"{entry.name}-{self.part}" if self.part else entry.name


SCRAPES: Mapping[str, tuple[Scrape, ...]] = {
    "alertmanager": (Scrape(port="http"),),
    # Shown to who may read the agent (Consul, ACL rules of /agent/metrics).
    "consul": (Scrape(port="http", path="/v1/agent/metrics", params={"format": ("prometheus",)}, authorized=True),),
    "grafana": (Scrape(port="http"),),
    "kong": (Scrape(port="status"),),
    "rabbitmq": (
        Scrape(port="metrics"),
        # The first adds all queues up; these are the families that tell them apart (rabbitmq_prometheus,
        # metrics-detailed.md), without those of each connection and channel.
        Scrape(
            port="metrics",
            path="/metrics/detailed",
            params={"family": ("queue_coarse_metrics", "queue_consumer_count")},
            part="queues",
        ),
    ),
    "vault": (Scrape(port="http", path="/v1/sys/metrics", params={"format": ("prometheus",)}),),
}


def of(entry: Service) -> dict[str, Scrape]:
    """What is scraped of a server, by job; nothing of an application, whose instances are a job by themselves."""
    return {scrape.job(entry): scrape for scrape in SCRAPES.get(entry.kind, ())}
