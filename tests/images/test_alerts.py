"""The rules as Prometheus evaluates them, and who is told as Alertmanager does it: in their images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components import alertmanager, prometheus
from components.alertmanager import Receiver, Silence, Webhook
from infra import alerts, catalog
from infra.alerts import routing
from tests.alerts import promtool
from tests.components.test_observability import TEAM
from tests.images.conftest import Under
from tests.images.test_observability import Servers, common, eventually, put

pytestmark = pytest.mark.engine
RUNBOOKS = Path(__file__).resolve().parents[2] / alerts.rules.RUNBOOKS
TOKEN = "first-token"
#: Writes down who asked with which token, and for what.
HOOK = """
import http.server, json, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        told = {'token': self.headers['Authorization'], 'labels': [a['labels'] for a in body['alerts']]}
        print(json.dumps(told), flush=True)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(('', 8000), Hook).serve_forever()
"""


@pytest.fixture
def servers(under: Under, image: Any) -> Iterator[Servers]:
    made = Servers(under, image)
    yield made
    for client in made.clients:
        client.close()


def watching(servers: Servers, rules: Mapping[str, str], files: Mapping[str, str]) -> Any:
    """Prometheus with these rules, and with further files beside its configuration."""
    spec = prometheus.PrometheusSpec(**common("prometheus", 256), rules=rules)
    held = {
        "prometheus.yml": prometheus.configuration(spec),
        **{f"rules/{name}": rules[name] for name in rules},
        **files,
    }
    server = servers.run(prometheus.workload(spec), held)
    servers.healthy(server)
    return server


def test_every_alert_fires_and_rests_as_its_cases_say_and_every_recording_has_its_value(servers):
    rules = alerts.rule_files(promtool.entries())
    server = watching(servers, rules, {"tests.yml": json.dumps(promtool.document())})
    code, output = servers.under.ask(server.container, ["promtool", "test", "rules", "/run/secrets/tests.yml"])
    assert code == 0, output


def test_what_a_page_tells_to_ask_prometheus_can_be_asked(servers):
    queries = [
        line
        for page in sorted(RUNBOOKS.glob("*.md"))
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(queries) > len(list(RUNBOOKS.glob("*.md"))) / 2
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    asked = {"asked.yml": json.dumps({"groups": [{"name": "pages", "rules": rules}]})}
    server = watching(servers, {}, asked)
    code, output = servers.under.ask(server.container, ["promtool", "check", "rules", "/run/secrets/asked.yml"])
    assert code == 0, output


def test_prometheus_evaluates_the_rules_of_the_whole_platform(servers):
    rules = alerts.rule_files(catalog.load().enabled)
    server = watching(servers, rules, {})
    code, output = servers.under.ask(
        server.container, ["promtool", "check", "rules", *(f"/run/secrets/rules/{name}" for name in rules)]
    )
    assert code == 0, output

    def evaluated() -> list[str]:
        groups = server.client.get("/api/v1/rules").json()["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        done = found and all(rule["health"] != "unknown" for rule in found)
        return [rule["health"] for rule in found] if done else []

    assert set(eventually(evaluated, 90)) == {"ok"}


def telling(servers: Servers) -> Any:
    """Alertmanager as the small platform has it, and a receiver of what is critical."""
    spec = alertmanager.AlertmanagerSpec(
        **common("alertmanager", 64),
        receivers=(Receiver(name="hook", webhook=Webhook(url="http://service:8000", authorized=True)),),
        inhibitions=routing.inhibitions(promtool.entries()),
        silences=(Silence(service="audit", alerts=("ServiceDown",)),),
    )
    files = {"alertmanager.yml": alertmanager.configuration(spec), "hook-webhook-token": TOKEN}
    server = servers.run(alertmanager.workload(spec), files)
    servers.healthy(server)
    return server


def test_alertmanager_takes_receivers_of_every_kind(servers):
    server = telling(servers)
    everything = alertmanager.AlertmanagerSpec(**common("alertmanager", 64), receivers=(TEAM,))
    put(server, {"all.yml": alertmanager.configuration(everything)})
    code, output = servers.under.ask(server.container, ["amtool", "check-config", "/run/secrets/all.yml"])
    assert code == 0, output


def test_alertmanager_routes_by_severity_and_what_is_silenced_to_nobody(servers):
    server = telling(servers)

    def receiver(**labels: str) -> str:
        tested = [f"{key}={value}" for key, value in labels.items()]
        command = ["amtool", "config", "routes", "test", "--config.file=/run/secrets/alertmanager.yml", *tested]
        code, output = servers.under.ask(server.container, command)
        assert code == 0, output
        (name,) = [line.strip() for line in output.splitlines() if not line.startswith("Warning: ")]
        return name

    assert receiver(severity="critical", service="web", alertname="ServiceDown") == "critical"
    assert receiver(severity="warning", service="web", alertname="ServiceSlow") == "warning"
    assert receiver(severity="critical", service="audit", alertname="ServiceDown") == "nobody"
    assert receiver(severity="critical", service="audit", alertname="ServiceErrors") == "critical"


def alert(name: str, severity: str, service: str, **labels: str) -> dict[str, Any]:
    labels |= {"alertname": name, "severity": severity, "service": service}
    return {"labels": labels, "startsAt": datetime.now(UTC).isoformat()}


def test_a_receiver_is_told_what_happened_and_not_what_follows_from_it(servers):
    hook = servers.under.run("service", servers.image("service"), command=["python", "-c", HOOK])
    server = telling(servers)
    # What is held back comes first, and would be told first.
    fired = [
        alert("ServiceDown", "critical", "rabbitmq"),
        alert("ServiceErrors", "critical", "books"),  # it needs RabbitMQ
        alert("ConfigurationRefused", "warning", "rabbitmq"),  # of the same service
        alert("ServiceDown", "critical", "audit"),  # silenced
        alert("VaultSealed", "critical", "vault"),
        alert("DependencyDown", "warning", "web", dependency="vault"),
        alert("DependencyDown", "warning", "web", dependency="redis"),
    ]
    assert server.client.post("/api/v2/alerts", json=fired).status_code == 200

    def told() -> set[tuple[str, str]]:
        lines = [json.loads(line) for line in hook.logs(stderr=False).decode().splitlines()]
        assert {line["token"] for line in lines} <= {f"Bearer {TOKEN}"}
        return {(labels["alertname"], labels["service"]) for line in lines for labels in line["labels"]}

    expected = {("ServiceDown", "rabbitmq"), ("VaultSealed", "vault"), ("DependencyDown", "web")}
    eventually(lambda: told() >= expected, 120)  # a warning waits for a minute
    assert told() == expected
    lines = [json.loads(line) for line in hook.logs(stderr=False).decode().splitlines()]
    assert [
        labels["dependency"] for line in lines for labels in line["labels"] if labels["alertname"] == "DependencyDown"
    ] == ["redis"]
    everything = {each["labels"]["alertname"] for each in server.client.get("/api/v2/alerts").json()}
    assert {"ServiceErrors", "ConfigurationRefused"} <= everything, "what nobody is told of is shown all the same"
