"""Alerts of the servers, by kind: what the metrics of each tell of itself, and what its users tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from infra.alerts import levels
from infra.alerts.rules import Alert, Recording, Rule, alike, any_of, quoted
from infra.entry import Service

#: Share of the sockets that RabbitMQ may open; at all of them it refuses connections.
SOCKET_SHARE = 0.8
#: The kinds whose users are applications that probe them under the kind's name (services/common).
PROBED = ("postgres", "redis", "rabbitmq")
#: The name at the gateway of a service's group of instances (components/publication.py).
UPSTREAM = "(.+)[.]upstream"


def rules(entries: Sequence[Service]) -> Iterator[Rule]:
    """Of every server that runs: its own, and that none of its users reaches it."""
    services = [entry for entry in entries if entry.kind == "service"]
    for entry in entries:
        if own := OF_KIND.get(entry.kind):
            yield from own(entry, services)
        yield from _unreachable(entry, [service for service in services if entry.name in service.needs])


def _unreachable(entry: Service, users: Sequence[Service]) -> Iterator[Alert]:
    """Also of servers without metrics: each user looks every 15 s whether its server answers."""
    if entry.kind not in PROBED:
        return
    cached = [user.name for user in users if entry.kind == "redis" and user.redis == "cache"]
    held = [user.name for user in users if user.name not in cached]
    seen = "max(nexus_dependency_up{{dependency={kind}, job=~{jobs}}}) == 0"
    if held:
        yield Alert(
            name="ServiceUnreachable",
            severity="critical",
            expr=seen.format(kind=quoted(entry.kind), jobs=any_of(held)),
            service=entry.name,
            summary=f"no service reaches {entry.name}",
        )
    if cached:
        yield Alert(
            name="CacheUnreachable",
            severity="warning",
            expr=seen.format(kind=quoted(entry.kind), jobs=any_of(cached)),
            service=entry.name,
            summary="no service reaches the cache; all answer without it",
        )


def _vault(entry: Service, _: Sequence[Service]) -> Iterator[Alert]:
    job = f"job={quoted(entry.name)}"
    # One of the gauge's series has to be 1: that of before the unseal, without a cluster, stays 0 for an hour. The
    # services are asked as well, as the gauge was seen to keep its value when Vault is sealed (hashicorp/vault#25214).
    yield Alert(
        name="VaultSealed",
        severity="critical",
        expr=f"up{{{job}}} == 1 and on () (absent(vault_core_unsealed{{{job}}} == 1)"
        ' or max(nexus_dependency_up{dependency="vault"}) == 0)',
        summary="{{ $labels.job }} answers, and is sealed: nothing is lent, renewed or signed",
    )
    yield Alert(
        name="VaultWithoutLeader",
        severity="critical",
        expr=f"max by (job) (vault_core_active{{{job}}}) == 0 and max by (job) (vault_core_unsealed{{{job}}}) == 1",
        summary="{{ $labels.job }} has no leader: it refuses every request",
    )
    failed = " or ".join(
        f"sum by (job) (increase(vault_audit_log_{step}_failure{{{job}}}[5m])) > 0" for step in ("request", "response")
    )
    yield Alert(
        name="VaultAuditFailing",
        severity="critical",
        expr=failed,
        pending="0s",
        summary="{{ $labels.job }} could not write what it was asked; it refuses what it cannot write down",
    )


def _consul(entry: Service, _: Sequence[Service]) -> Iterator[Alert]:
    yield Alert(
        name="ConsulWithoutLeader",
        severity="critical",
        expr=f"max by (job) (consul_server_isLeader{{job={quoted(entry.name)}}}) == 0",
        summary="{{ $labels.job }} has no leader: nothing is registered, and checks stand still",
    )


def _rabbitmq(entry: Service, services: Sequence[Service]) -> Iterator[Alert]:
    job = f"job={quoted(entry.name)}"
    for name, metric, what in (
        ("RabbitmqMemoryAlarm", "memory_used_watermark", "memory"),
        ("RabbitmqDiskAlarm", "free_disk_space_watermark", "free disk space"),
    ):
        yield Alert(
            name=name,
            severity="critical",
            expr=f"rabbitmq_alarms_{metric}{{{job}}} > 0",
            summary=f"{{{{ $labels.job }}}} has no {what} left: publishers wait",
        )
    used, most = (f"rabbitmq_process_{part}_tcp_sockets{{{job}}}" for part in ("open", "max"))
    yield Alert(
        name="RabbitmqConnectionsHigh",
        severity="warning",
        expr=f"{used} / {most} > {SOCKET_SHARE}",
        pending="5m",
        summary="{{ $labels.job }} has {{ $value | humanizePercentage }} of its sockets open",
    )
    yield from _queues([service for service in services if service.consumes])


def _queues(consumers: Sequence[Service]) -> Iterator[Alert]:
    """A queue has the name of the service that reads it, and what that could not process is in one with `.dead`."""
    queue = "{{ $labels.queue }}"
    for messages, queues in alike(consumers, lambda service: service.alerts.queue):
        yield Alert(
            name="QueueDeep",
            severity="warning",
            expr=f"rabbitmq_detailed_queue_messages{{queue=~{queues}}} > {messages}",
            pending="10m",
            service=queue,
            labels={"limit": str(messages)},
            summary=f"{{{{ $value }}}} messages wait for {queue}; limit {messages}",
        )
    if consumers:
        names = any_of(service.name for service in consumers)
        yield Alert(
            name="QueueWithoutConsumer",
            severity="critical",
            expr=f"rabbitmq_detailed_queue_consumers{{queue=~{names}}} == 0",
            pending="5m",
            service=queue,
            summary=f"nobody reads the queue of {queue}",
        )
        yield Alert(
            name="DeadLetters",
            severity="warning",
            expr='label_replace(rabbitmq_detailed_queue_messages{queue=~".+[.]dead"} > 0, "reader", "$1", "queue",'
            ' "(.+)[.]dead")',
            service="{{ $labels.reader }}",
            summary="{{ $value }} messages that {{ $labels.reader }} could not process are kept aside",
        )


def _kong(entry: Service, services: Sequence[Service]) -> Iterator[Rule]:
    yield Alert(
        name="GatewayDatastoreUnreachable",
        severity="warning",
        expr=f"kong_datastore_reachable{{job={quoted(entry.name)}}} == 0",
        pending="2m",
        summary="{{ $labels.job }} does not reach its database: it routes as before, and takes no changes",
    )
    unhealthy = 'sum by (upstream) (kong_upstream_target_health{state=~"unhealthy|dns_error"}) > 0'
    yield Alert(
        name="GatewayTargetUnhealthy",
        severity="warning",
        expr=f'label_replace({unhealthy}, "target", "$1", "upstream", "{UPSTREAM}")',
        pending="2m",
        service="{{ $labels.target }}",
        summary="the gateway has taken {{ $value }} instances of {{ $labels.target }} out of its balance",
    )
    yield from _published([service for service in services if service.routes])


def _published(services: Sequence[Service]) -> Iterator[Rule]:
    """What callers see of a service: how long it takes, and refusals of the gateway's own when no instance answered."""
    published = "{{ $labels.service }}"
    for name, metric in (
        ("kong_http_requests", "kong_http_requests_total"),
        ("kong_http_refusals", 'kong_http_requests_total{source="kong", code=~"5.."}'),
        ("kong_request_latency_ms_count", "kong_request_latency_ms_count"),
    ):
        yield Recording(name=f"service:{name}:rate5m", expr=f"sum by (service) (rate({metric}[5m]))")
    yield Recording(
        name="service:kong_request_latency_ms:p99_rate5m",
        expr="histogram_quantile(0.99, sum by (service, le) (rate(kong_request_latency_ms_bucket[5m])))",
    )
    for limit, names in alike(services, lambda service: service.alerts.error_ratio):
        yield Alert(
            name="GatewayErrors",
            severity="critical",
            expr="service:kong_http_refusals:rate5m"
            f" / service:kong_http_requests:rate5m{{service=~{names}}} > {limit:g}"
            f" and service:kong_http_refusals:rate5m * {levels.SHORT} >= {levels.FEWEST_ERRORS}",
            pending="2m",
            service=published,
            labels={"limit": f"{limit:g}"},
            summary="the gateway got no answer for {{ $value | humanizePercentage }} of the requests to"
            f" {published}; limit {limit:g}",
        )
    for seconds, names in alike(services, lambda service: service.alerts.p99):
        yield Alert(
            name="GatewaySlow",
            severity="warning",
            expr=f"service:kong_request_latency_ms:p99_rate5m{{service=~{names}}} / 1000 > {seconds:g}"
            f" and service:kong_request_latency_ms_count:rate5m * {levels.SHORT} >= {levels.FEWEST_REQUESTS}",
            pending="10m",
            service=published,
            labels={"limit": f"{seconds:g}s"},
            summary=f"through the gateway {published} has a p99 of {{{{ $value | humanizeDuration }}}};"
            f" limit {seconds:g}s",
        )


def _refused(entry: Service) -> Alert:
    return Alert(
        name="ConfigurationRefused",
        severity="warning",
        expr=f"{entry.kind}_config_last_reload_successful{{job={quoted(entry.name)}}} == 0",
        pending="5m",
        service=entry.name,
        summary="{{ $labels.job }} refused its new configuration, and goes on with the one before",
    )


def _prometheus(entry: Service, _: Sequence[Service]) -> Iterator[Alert]:
    yield _refused(entry)
    yield Alert(
        name="RulesFailing",
        severity="critical",
        expr="sum by (job, rule_group)"
        f" (increase(prometheus_rule_evaluation_failures_total{{job={quoted(entry.name)}}}[5m])) > 0",
        pending="5m",
        summary="rules of {{ $labels.rule_group }} cannot be evaluated: their alerts do not fire",
    )


def _alertmanager(entry: Service, _: Sequence[Service]) -> Iterator[Alert]:
    yield _refused(entry)
    yield Alert(
        name="NotificationsFailing",
        severity="critical",
        expr="sum by (job, integration)"
        f" (rate(alertmanager_notifications_failed_total{{job={quoted(entry.name)}}}[5m])) > 0",
        pending="5m",
        summary="{{ $labels.job }} cannot tell by {{ $labels.integration }}",
    )


#: What makes the rules of a kind, from its entry and the services that run.
OF_KIND: Mapping[str, Callable[[Service, Sequence[Service]], Iterator[Rule]]] = {
    "vault": _vault,
    "consul": _consul,
    "rabbitmq": _rabbitmq,
    "kong": _kong,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
}
