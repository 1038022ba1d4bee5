"""Alerts of the application services, from the metrics that each of them has (services/common/metrics.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.alerts import levels
from infra.alerts.rules import Alert, alike, any_of
from infra.entry import Service

#: Share of a pool's connections in use, above which requests begin to wait for one.
POOL_SHARE = 0.9
JOB, INSTANCE = "{{ $labels.job }}", "{{ $labels.instance }}"


def alerts(services: Sequence[Service]) -> Iterator[Alert]:
    """All of them; nothing where there are no services."""
    if not services:
        return
    yield from _requests(services)
    yield from levels.burning(services)
    yield from _saturation(services)
    yield Alert(
        name="DependencyDown",
        severity="warning",
        expr=f"nexus_dependency_up{{job=~{any_of(s.name for s in services)}}} == 0",
        pending="2m",
        summary="{{ $labels.instance }} does not reach {{ $labels.dependency }}",
    )


def _requests(services: Sequence[Service]) -> Iterator[Alert]:
    for limit, jobs in alike(services, lambda service: service.alerts.error_ratio):
        yield Alert(
            name="ServiceErrors",
            severity="critical",
            expr=f"job:http_errors:ratio_rate5m{{job=~{jobs}}} > {limit:g}"
            f" and job:http_errors:rate5m * {levels.SHORT} >= {levels.FEWEST_ERRORS}",
            pending="5m",
            labels={"limit": f"{limit:g}"},
            summary=f"{JOB} fails {{{{ $value | humanizePercentage }}}} of its requests; limit {limit:g}",
        )
    for seconds, jobs in alike(services, lambda service: service.alerts.p99):
        yield Alert(
            name="ServiceSlow",
            severity="warning",
            expr=f"job:http_request_duration_seconds:p99_rate5m{{job=~{jobs}}} > {seconds:g}"
            f" and job:http_requests:rate5m * {levels.SHORT} >= {levels.FEWEST_REQUESTS}",
            pending="10m",
            labels={"limit": f"{seconds:g}s"},
            summary=f"{JOB}: p99 is {{{{ $value | humanizeDuration }}}}; limit {seconds:g}s",
        )


def _saturation(services: Sequence[Service]) -> Iterator[Alert]:
    for share, jobs in alike(services, lambda service: service.alerts.memory):
        yield Alert(
            name="ServiceMemoryHigh",
            severity="warning",
            expr=f"process_resident_memory_bytes{{job=~{jobs}}} / nexus_memory_limit_bytes > {share:g}",
            pending="5m",
            labels={"limit": f"{share:g}"},
            summary=f"{INSTANCE} holds {{{{ $value | humanizePercentage }}}} of its memory limit; limit {share:g}",
        )
    for requests, jobs in alike(services, lambda service: service.alerts.in_flight):
        yield Alert(
            name="ServiceSaturated",
            severity="warning",
            expr=f"http_requests_in_flight{{job=~{jobs}}} > {requests}",
            pending="5m",
            labels={"limit": str(requests)},
            summary=f"{INSTANCE} answers {{{{ $value }}}} requests at a time; limit {requests}",
        )
    # RabbitMQ's one connection is no pool, and always in use
    used, most = (f'nexus_pool_connections{{dependency!="rabbitmq", state="{state}"}}' for state in ("in_use", "max"))
    yield Alert(
        name="PoolExhausted",
        severity="warning",
        expr=f"{used} / ignoring (state) ({most} > 0) > {POOL_SHARE:g}",
        pending="5m",
        summary="{{ $labels.instance }} uses {{ $value | humanizePercentage }} of its connections to"
        " {{ $labels.dependency }}",
    )
