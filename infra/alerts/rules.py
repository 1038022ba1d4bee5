"""Recording and alerting rules as values, and as the files that Prometheus reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from infra.entry import Service

Severity = Literal["critical", "warning"]
#: Where each alert has its page, relative to the project.
RUNBOOKS = "docs/runbooks"
#: Seconds between two evaluations, whatever the interval of scrapes is: what is summed up over time counts on it.
STEP = 15
Limit = TypeVar("Limit", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A series that is computed once for all who ask; named level:metric:operations (Prometheus, Recording rules)."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """As it is in a rule file."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.name, "expr": self.expr, **labels}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A state that somebody has to look at, once it has lasted for ``pending``.

    ``summary``, ``service`` and ``labels`` are templates over the labels of the result of ``expr``.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    service: str = "{{ $labels.job }}"
    pending: str = "1m"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """As it is in a rule file."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.pending,
            "labels": {"severity": self.severity, "service": self.service, **self.labels},
            "annotations": {"summary": self.summary, "runbook": f"{RUNBOOKS}/{self.name}.md"},
        }


Rule = Recording | Alert


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, every ``seconds``."""

    name: str
    rules: tuple[Rule, ...]
    seconds: int = STEP


def text(groups: Iterable[Group]) -> str:
    """A rule file, as JSON, which is YAML too."""
    documents = [
        {"name": group.name, "interval": f"{group.seconds}s", "rules": [rule.document for rule in group.rules]}
        for group in groups
        if group.rules
    ]
    return json.dumps({"groups": documents}, indent=1)


def quoted(value: str) -> str:
    """A string in PromQL, whose escapes are those of JSON."""
    return json.dumps(value)


def any_of(names: Iterable[str]) -> str:
    """A regular expression for these names, in quotes; names of services have no characters that mean more."""
    return quoted("|".join(sorted(names)))


def alike(services: Iterable[Service], limit: Callable[[Service], Limit]) -> Iterator[tuple[Limit, str]]:
    """Each limit, with the expression for the services that it holds for: so there is a rule a limit, not a service."""
    held: dict[Limit, list[str]] = {}
    for service in services:
        held.setdefault(limit(service), []).append(service.name)
    for value, names in held.items():
        yield value, any_of(names)
