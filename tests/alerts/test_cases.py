"""Every rule has its cases, every alert its page, and what is tuned or silenced is what the catalogue says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.alertmanager import Silence
from infra import alerts, catalog, scrapes
from infra.alerts import routing
from infra.alerts.rules import RUNBOOKS, Alert, Recording
from infra.errors import ConfigError
from infra.settings import AlertSettings, ServiceSettings, Settings
from services.common.metrics import BUCKETS
from tests.alerts import promtool

ROOT = Path(__file__).resolve().parents[2]
RULES = list(promtool.rules())
ALERTS = [rule for rule in RULES if isinstance(rule, Alert)]
RECORDINGS = [rule for rule in RULES if isinstance(rule, Recording)]
CASES = promtool.read("cases.yaml")
CATALOGUE = (promtool.HERE / "catalogue.yaml").read_text()
PLATFORM = catalog.load()


def test_of_the_32_services_every_alert_is_one_of_the_small_platform_too() -> None:
    assert alerts.names(PLATFORM.services) == {alert.name for alert in ALERTS}


def fixed(labels: dict[str, str]) -> dict[str, str]:
    """The labels that are the same whatever an alert is about."""
    return {key: value for key, value in labels.items() if "{{" not in value}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{'-'.join(alert.labels.values())}")
def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_rests(alert: Alert) -> None:
    own = fixed(alert.document["labels"]).items()
    cases = [case for case in CASES if case["alert"] == alert.name and own <= case["labels"].items()]
    assert cases and all(case["fires"] and case["rests"] for case in cases), f"tests/alerts/cases.yaml: {dict(own)}"


def test_every_case_is_one_of_an_alert() -> None:
    for case in CASES:
        made = [fixed(alert.document["labels"]).items() for alert in ALERTS if alert.name == case["alert"]]
        assert any(labels <= case["labels"].items() for labels in made), case["alert"]


def test_every_recording_has_its_value() -> None:
    values = {expr.partition("{")[0] for expr in promtool.read("records.yaml")["values"]}
    assert values == {recording.name for recording in RECORDINGS}


@pytest.mark.parametrize("name", sorted(alerts.names(PLATFORM.services)))
def test_every_alert_has_its_page(name: str) -> None:
    page = ROOT / RUNBOOKS / f"{name}.md"
    assert page.exists(), f"write {page.relative_to(ROOT)}"
    text = page.read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "Look at", "Do"]
    severities = {alert.severity for alert in ALERTS if alert.name == name}
    row = f"| [{name}](runbooks/{name}.md) | {' '.join(severities)} |"
    assert row in (ROOT / "docs/alerts.md").read_text(), "docs/alerts.md has no such row"
    assert text.partition("## What it means\n\n")[2].lower().startswith(tuple(severities))


def test_every_page_has_its_alert() -> None:
    assert {page.stem for page in (ROOT / RUNBOOKS).glob("*.md")} == alerts.names(PLATFORM.services)


def test_every_alert_says_how_bad_it_is_about_which_service_and_what_to_read() -> None:
    for alert in ALERTS:
        document = alert.document
        assert document["labels"]["severity"] in ("critical", "warning") and document["labels"]["service"]
        assert document["annotations"]["summary"]
        assert (ROOT / document["annotations"]["runbook"]).parent == ROOT / "docs/runbooks"


def test_a_rule_file_has_no_two_rules_that_cannot_be_told_apart() -> None:
    """As Prometheus tells them apart: by the name and the labels as they are written."""
    for groups in alerts.groups(PLATFORM.enabled).values():
        rules = [rule.document for group in groups for rule in group.rules]
        keys = [(rule.get("alert") or rule["record"], *sorted(rule.get("labels", {}).items())) for rule in rules]
        assert len(set(keys)) == len(keys)


def test_services_of_one_limit_share_a_rule() -> None:
    slow = [rule for rule in ALERTS if rule.name == "ServiceSlow"]
    assert [re.findall(r'job=~"([^"]+)"', rule.expr)[0] for rule in slow] == ["audit|web", "books"]


def test_a_limit_is_no_higher_than_what_the_services_tell_apart() -> None:
    with pytest.raises(ConfigError, match=r"books\.alerts\.p99"):
        catalog.load(text=CATALOGUE.replace("p99: 1,", f"p99: {BUCKETS[-1]},"))


def test_every_server_with_metrics_is_a_declared_job_and_so_is_every_application() -> None:
    declared = {
        (rule.labels["job"], rule.expr) for rule in RECORDINGS if rule.name == "job:instances:declared" and rule.labels
    }
    servers = {(job, "vector(1)") for entry in promtool.entries() for job in scrapes.of(entry)}
    assert declared == servers | {("web", "vector(2)"), ("books", "vector(1)"), ("audit", "vector(1)")}


def test_a_platform_without_applications_has_rules_for_its_servers_alone() -> None:
    servers = [entry for entry in promtool.entries() if entry.kind != "service"]
    found = alerts.names(servers)
    assert {"ServiceDown", "VaultSealed"} <= found
    assert not {"ServiceErrors", "ErrorBudgetBurnFast", "QueueDeep", "ServiceUnreachable"} & found


@pytest.mark.parametrize(
    ("entry", "changed", "field", "rule"),
    [
        ("web", {"silenced": ["ServiceDwn"]}, "web.alerts.silenced", "is no alert"),
        ("web", {"p99": 0}, "web.alerts.p99", "greater than 0"),
        ("web", {"objective": 1}, "web.alerts.objective", "less than 1"),
        ("web", {"objective": 0.5}, "web.alerts.objective", "greater than or equal to 0.9"),
        ("web", {"memory": 1.5}, "web.alerts.memory", "less than or equal to 1"),
        ("web", {"queue": 5}, "web.alerts.queue", "consumes no events"),
        ("web", {"latency": 5}, "web.alerts.latency", "no such setting"),
        ("vault", {"p99": 1}, "vault.alerts.p99", "no limits to set"),
    ],
)
def test_a_wrong_limit_is_refused_with_its_field(entry: str, changed: dict[str, Any], field: str, rule: str) -> None:
    entries = yaml.safe_load(CATALOGUE)
    entries[entry]["alerts"] = changed
    with pytest.raises(ConfigError) as failure:
        catalog.load(text=yaml.safe_dump(entries, sort_keys=False))
    assert (failure.value.field, rule in failure.value.rule) == (field, True)
    assert "infra/services.yaml" in failure.value.file and failure.value.remedy


def test_an_environment_changes_the_limits_it_names_and_no_others() -> None:
    mine = Settings(services={"books": ServiceSettings(alerts=AlertSettings(p99=2, silenced=("DeadLetters",)))})
    found = catalog.load(mine, "dev", text=CATALOGUE).by_name["books"].alerts
    assert (found.p99, found.silenced, found.objective, found.queue) == (2, ("DeadLetters",), 0.99, 10)


def test_an_environments_wrong_limit_names_its_file() -> None:
    mine = Settings(services={"vault": ServiceSettings(alerts=AlertSettings(p99=2))})
    with pytest.raises(ConfigError, match=r"Pulumi\.dev\.yaml[\s\S]*vault\.alerts\.p99"):
        catalog.load(mine, "dev", text=CATALOGUE)


def test_a_critical_alert_hides_warnings_of_its_service_and_no_others() -> None:
    first, *_ = routing.inhibitions(promtool.entries())
    assert (first.source, first.target) == (('severity="critical"',), ('severity="warning"',))
    assert first.equal == ("service",)


def test_what_is_down_hides_the_alerts_of_those_who_need_it_also_by_others() -> None:
    entries = catalog.load(text=CATALOGUE.replace("needs: [rabbitmq]", "needs: [books]").replace("['#']", "[]")).enabled
    assert routing.dependants("rabbitmq", entries) == ["audit", "books"]
    assert routing.dependants("web", entries) == []
    found = {rule.source[1]: rule.target for rule in routing.inhibitions(entries)[1:]}
    assert found['service="rabbitmq"'] == ('service=~"audit|books"',)
    assert found['service="vault"'] == ('alertname="DependencyDown"', 'dependency="vault"')
    assert 'service="web"' not in found


def test_what_hides_others_is_an_alert() -> None:
    (named,) = re.findall(r'alertname=~"([^"]+)"', routing.DOWN)
    assert set(named.split("|")) <= alerts.names(PLATFORM.services)


def test_what_an_entry_silences_is_told_to_nobody() -> None:
    assert routing.silences(PLATFORM.enabled) == (Silence(service="ai", alerts=("ServiceSlow", "GatewaySlow")),)
