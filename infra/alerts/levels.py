"""Service levels: what is recorded of each service's requests, and how fast its error budget is spent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from infra.alerts.rules import STEP, Alert, Group, Recording, Severity, alike, quoted
from infra.entry import Service

#: Long windows are sums over the shortest one: cheap, exact, and right over restarts.
WINDOWS = ("30m", "1h", "6h", "3d")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
#: Nobody is woken for fewer failed requests than this, whatever share of few requests they are (Google, The Site
#: Reliability Workbook, Alerting on SLOs, Low-Traffic Services).
FEWEST_ERRORS = 10
#: Of fewer requests the 99th percentile is the slowest one.
FEWEST_REQUESTS = 100
#: Seconds in the shortest window.
SHORT = 300
#: Answers that are the service's fault.
ERRORS = ', status=~"5.."'


@dataclass(frozen=True)
class Burn:
    """The budget of 30 days is spent ``factor`` times too fast, over the ``long`` window and still in the ``short``."""

    name: str
    severity: Severity
    long: str
    short: str
    factor: float


#: The Site Reliability Workbook, Alerting on SLOs, table 5-8: 2 % of the budget in an hour, 5 % in six, 10 % in 3 days.
BURNS = (
    Burn("ErrorBudgetBurnFast", "critical", "1h", "5m", 14.4),
    Burn("ErrorBudgetBurnFast", "critical", "6h", "30m", 6),
    Burn("ErrorBudgetBurnSlow", "warning", "3d", "6h", 1),
)


def recorded(services: Sequence[Service]) -> tuple[Group, Group]:
    """What is recorded of requests that somebody made: those of health checks and of Prometheus are left out."""
    asked = f"route!~{quoted(probes(services))}"
    rate, error_rate = (f"sum by (job) (rate(http_requests_total{{{asked}{more}}}[5m]))" for more in ("", ERRORS))
    buckets = f"sum by (job, le) (rate(http_request_duration_seconds_bucket{{{asked}}}[5m]))"
    now = (
        Recording(name="job:http_requests:rate5m", expr=rate),
        # none is 0, so that what is summed up later has no holes
        Recording(name="job:http_errors:rate5m", expr=f"{error_rate} or job:http_requests:rate5m * 0"),
        Recording(name="job:http_errors:ratio_rate5m", expr="job:http_errors:rate5m / (job:http_requests:rate5m > 0)"),
        Recording(name="job:http_request_duration_seconds_bucket:rate5m", expr=buckets),
        *(
            Recording(
                name=f"job:http_request_duration_seconds:{name}_rate5m",
                expr=f"histogram_quantile({quantile}, job:http_request_duration_seconds_bucket:rate5m)",
            )
            for name, quantile in QUANTILES.items()
        ),
    )
    past = tuple(rule for window in WINDOWS for rule in _summed(window))
    return Group("service-levels", now), Group("service-levels-over-time", past, seconds=60)


def _summed(window: str) -> Iterator[Recording]:
    errors, requests = (f"sum_over_time(job:http_{what}:rate5m[{window}])" for what in ("errors", "requests"))
    yield Recording(name=f"job:http_errors:increase{window}", expr=f"{errors} * {STEP}")
    yield Recording(name=f"job:http_errors:ratio_rate{window}", expr=f"{errors} / ({requests} > 0)")


def probes(services: Iterable[Service]) -> str:
    """A regular expression for the routes that are asked by the platform itself."""
    paths = {"/metrics", *(path for s in services for path in (s.health.path, s.health.ready_path))}
    return "|".join(re.escape(path) for path in sorted(paths))


def burning(services: Iterable[Service]) -> Iterator[Alert]:
    """An alert for each burn rate, and each objective that services have."""
    for objective, jobs in alike(services, lambda service: service.alerts.objective):
        budget = f"{round(1 - objective, 10):g}"  # without what binary fractions add
        for burn in BURNS:
            limit = f"{burn.factor:g} * {budget}"
            yield Alert(
                name=burn.name,
                severity=burn.severity,
                expr=f"job:http_errors:ratio_rate{burn.long}{{job=~{jobs}}} > {limit}"
                f" and job:http_errors:ratio_rate{burn.short} > {limit}"
                f" and job:http_errors:increase{burn.long} >= {FEWEST_ERRORS}",
                pending="0s",  # the windows say how long
                labels={"window": burn.long, "objective": f"{objective:g}"},
                summary=f"{{{{ $labels.job }}}}: {{{{ $value | humanizePercentage }}}} of the requests of {burn.long}"
                f" failed; the objective is {objective:g}",
            )
