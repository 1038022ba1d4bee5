"""The wiring of what watches the platform: metrics, alerts, logs, and the pages that show them."""

from __future__ import annotations

import pulumi

from components import alertmanager as tell
from components.alertmanager import Alertmanager, AlertmanagerArgs, AlertmanagerSpec
from components.consul import Consul
from components.elasticsearch import Elasticsearch, ElasticsearchSpec
from components.grafana import Grafana, GrafanaArgs, GrafanaSpec
from components.kibana import Kibana, KibanaArgs, KibanaSpec
from components.logstash import Logstash, LogstashArgs, LogstashSpec
from components.prometheus import Prometheus, PrometheusArgs, PrometheusSpec, Target
from components.workload import ServerArgs, instances
from infra import alerts, dashboards, images, scrapes
from infra.alerts import routing
from infra.catalog import Service
from infra.platform import Platform
from infra.receivers import Receiver
from infra.wiring import discovery


def alertmanager(platform: Platform, entry: Service) -> Alertmanager:
    """Where Prometheus' alerts go, and from there to whom the settings name."""
    told, enabled = platform.settings.receivers, platform.catalog.enabled
    spec = AlertmanagerSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
        receivers=tuple(receiver(name, one) for name, one in told.items()),
        inhibitions=routing.inhibitions(enabled),
        silences=routing.silences(enabled),
    )
    secrets = {secret: value for name, one in told.items() for secret, value in secrets_of(name, one).items()}
    return Alertmanager(entry.name, spec, AlertmanagerArgs(**platform.runtime(entry.image), secrets=secrets))


def receiver(name: str, chosen: Receiver) -> tell.Receiver:
    """A receiver as the settings have it, without its secrets."""
    webhook, slack, mail = chosen.webhook, chosen.slack, chosen.mail
    return tell.Receiver(
        name=name,
        severities=chosen.severities,
        webhook=tell.Webhook(url=webhook.url, authorized=webhook.token is not None) if webhook else None,
        slack=tell.Slack(channel=slack.channel) if slack else None,
        mail=tell.Mail(**mail.model_dump(exclude={"password"})) if mail else None,
    )


def secrets_of(name: str, chosen: Receiver) -> dict[str, pulumi.Output[str]]:
    """Its secrets, by the names that the component has for them."""
    found = {
        "webhook-token": chosen.webhook and chosen.webhook.token,
        "slack-url": chosen.slack and chosen.slack.url,
        "mail-password": chosen.mail and chosen.mail.password,
    }
    return {
        f"{name}-{secret}": pulumi.Output.secret(value.get_secret_value()) for secret, value in found.items() if value
    }


def prometheus(platform: Platform, entry: Service) -> Prometheus:
    """The metrics of all services, and the rules that follow from the catalogue."""
    receiver, registry = platform.made.get("alertmanager"), platform.made.get("consul")
    enabled, port = platform.catalog.enabled, images.contract("service").ports["http"]
    spec = PrometheusSpec(
        **platform.shape(entry),
        port=platform.port(entry, "http"),
        alertmanager=receiver.address if isinstance(receiver, Alertmanager) else "",
        targets={job: target for server in enabled for job, target in targets(server).items()},
        services={
            s.name: tuple(f"{host}:{port}" for host in instances(s.name, s.replicas))
            for s in enabled
            if s.kind == "service"
        },
        tasks=platform.settings.engine == "swarm",
        rules=alerts.rule_files(enabled),
    )
    tokens = {registry.running.host: registry.tokens[discovery.READER]} if isinstance(registry, Consul) else {}
    return Prometheus(entry.name, spec, PrometheusArgs(**platform.runtime(entry.image), tokens=tokens))


def targets(server: Service) -> dict[str, Target]:
    """The jobs of a server that has metrics."""
    ports = images.contract(server.kind).ports
    return {
        job: Target(
            address=f"{server.name}:{ports[scrape.port]}",
            path=scrape.path,
            params=scrape.params,
            authorized=scrape.authorized,
        )
        for job, scrape in scrapes.of(server).items()
    }


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
