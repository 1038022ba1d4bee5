"""Prometheus' rules and Alertmanager's routes, generated from the catalogue.

Pure functions of the entries that run; docs/alerts.md says what there is, docs/runbooks what to do about each alert.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra import scrapes
from infra.alerts import levels, servers, services
from infra.alerts.rules import Alert, Group, Recording, Rule, text
from infra.entry import Service


def rule_files(entries: Sequence[Service]) -> dict[str, str]:
    """The rule files by name."""
    return {f"{file}.yml": text(made) for file, made in groups(entries).items()}


def groups(entries: Sequence[Service]) -> dict[str, tuple[Group, ...]]:
    """All rules, by the file that they are in."""
    own = [entry for entry in entries if entry.kind == "service"]
    return {
        "platform": (Group("instances", tuple(instances(entries))), Group("servers", tuple(servers.rules(entries)))),
        "services": (*levels.recorded(own), Group("services", tuple(services.alerts(own)))),
    }


def names(entries: Sequence[Service]) -> frozenset[str]:
    """The names of all alerts."""
    made = (group for files in groups(entries).values() for group in files)
    return frozenset(rule.name for group in made for rule in group.rules if isinstance(rule, Alert))


def instances(entries: Sequence[Service]) -> Iterator[Rule]:
    """How many instances are declared, job by job, and the alerts for those that do not answer.

    What is not there at all has no `up` that could be 0: hence the comparison. Of Prometheus itself nobody could tell.
    """
    for entry in entries:
        jobs = [entry.name] if entry.kind == "service" else scrapes.of(entry)
        for job in jobs:
            labels = {"job": job, "service": entry.name}
            yield Recording(name="job:instances:declared", expr=f"vector({entry.replicas})", labels=labels)
    yield Alert(
        name="ServiceDown",
        severity="critical",
        expr="job:instances:declared unless on (job) up == 1",
        service="{{ $labels.service }}",
        summary="{{ $labels.job }}: no instance answers ({{ $value }} declared)",
    )
    yield Alert(
        name="InstanceDown",
        severity="warning",
        expr="job:instances:declared > on (job) group_left () count by (job) (up == 1)",
        pending="5m",
        service="{{ $labels.service }}",
        summary="{{ $labels.job }}: fewer instances answer than the {{ $value }} declared",
    )
