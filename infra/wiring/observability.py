"""The wiring of what watches the platform: metrics, alerts, logs, and the pages that show them."""

from __future__ import annotations

from components.alertmanager import Alertmanager, AlertmanagerSpec
from components.elasticsearch import Elasticsearch, ElasticsearchSpec
from components.grafana import Grafana, GrafanaArgs, GrafanaSpec
from components.kibana import Kibana, KibanaArgs, KibanaSpec
from components.logstash import Logstash, LogstashArgs, LogstashSpec
from components.prometheus import Prometheus, PrometheusSpec
from components.workload import ServerArgs, instances
from infra import dashboards, images
from infra.catalog import Service
from infra.platform import Platform


def alertmanager(platform: Platform, entry: Service) -> Alertmanager:
    """Where Prometheus' alerts go."""
    spec = AlertmanagerSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
    )
    return Alertmanager(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))


def prometheus(platform: Platform, entry: Service) -> Prometheus:
    """The metrics of all services."""
    receiver = platform.made.get("alertmanager")
    enabled, port = platform.catalog.enabled, images.contract("service").ports["http"]
    spec = PrometheusSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
        alertmanager=receiver.address if isinstance(receiver, Alertmanager) else "",
        targets={s.name: f"{s.name}:{images.contract(s.kind).ports['http']}" for s in enabled if s.kind == "grafana"},
        services={
            s.name: tuple(f"{host}:{port}" for host in instances(s.name, s.replicas))
            for s in enabled
            if s.kind == "service"
        },
        tasks=platform.settings.engine == "swarm",
    )
    return Prometheus(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))


def elasticsearch(platform: Platform, entry: Service) -> Elasticsearch:
    """Where the logs are kept."""
    spec = ElasticsearchSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
    )
    return Elasticsearch(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))


def logstash(platform: Platform, entry: Service) -> Logstash:
    """Where logs are sent: its main port takes those of shippers."""
    spec = LogstashSpec(
        **platform.shape(entry),
        stand_in=platform.image_spec(entry.image).stand_in,
        ports=(platform.port(entry, "beats"),),
    )
    store = platform.find("elasticsearch", Elasticsearch)
    return Logstash(entry.name, spec, LogstashArgs(**platform.runtime(entry.image), elasticsearch=store.address))


def kibana(platform: Platform, entry: Service) -> Kibana:
    """Where the logs are searched."""
    spec = KibanaSpec(
        **platform.shape(entry),
        stand_in=platform.image_spec(entry.image).stand_in,
        port=platform.port(entry, "http"),
    )
    store = platform.find("elasticsearch", Elasticsearch)
    return Kibana(entry.name, spec, KibanaArgs(**platform.runtime(entry.image), elasticsearch=store.address))


def grafana(platform: Platform, entry: Service) -> Grafana:
    """Dashboards, over what of Prometheus and Elasticsearch there is."""
    metrics, logs = platform.made.get("prometheus"), platform.made.get("elasticsearch")
    spec = GrafanaSpec(
        **platform.shape(entry),
        stand_in=platform.image_spec(entry.image).stand_in,
        port=platform.port(entry, "http"),
        dashboards=dashboards.files(platform.catalog.enabled, metrics.jobs) if isinstance(metrics, Prometheus) else {},
    )
    args = GrafanaArgs(
        **platform.runtime(entry.image),
        prometheus=f"http://{metrics.address}" if isinstance(metrics, Prometheus) else "",
        elasticsearch=logs.address if isinstance(logs, Elasticsearch) else "",
    )
    return Grafana(entry.name, spec, args)
