"""What the components of metrics, alerts and logs declare, seen without any plugin."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from components import alertmanager, elasticsearch, grafana, kibana, logstash, prometheus
from components.workload import ContainerEngine, Port, ServerArgs
from infra import images
from tests.components.recorder import Recorder, declare

URL = "http://elasticsearch:9200"
AUTHORIZED = prometheus.Target(
    address="consul:8500", path="/v1/agent/metrics", params={"format": ("p",)}, authorized=True
)
TEAM = alertmanager.Receiver(
    name="team",
    webhook=alertmanager.Webhook(url="http://hook", authorized=True),
    slack=alertmanager.Slack(channel="#ops"),
    mail=alertmanager.Mail(to=("a@example.com", "b@example.com"), sender="n@example.com", server="mx:25", user="nexus"),
)


def runtime() -> dict[str, Any]:
    return {"image": "an-image", "network": "a-network", "engine": ContainerEngine()}


def shape(kind: str, memory: int = 512, **changed: Any) -> dict[str, Any]:
    contract = images.contract(kind)
    port = Port(container=contract.ports["http"], host=20000)
    return {"stack": "dev", "contract": contract, "memory_mib": memory, "port": port, **changed}


def metrics(**changed: Any) -> prometheus.PrometheusSpec:
    return prometheus.PrometheusSpec(**shape("prometheus", **changed))


def alerts(**changed: Any) -> alertmanager.AlertmanagerSpec:
    return alertmanager.AlertmanagerSpec(**shape("alertmanager", **changed))


def logs() -> logstash.LogstashSpec:
    return logstash.LogstashSpec(stack="dev", contract=images.contract("logstash"), memory_mib=512)


@pytest.fixture(scope="module")
def declared() -> Recorder:
    def program() -> None:
        args = runtime()
        told = {secret: f"secret-of-{secret}" for secret in TEAM.secrets}
        alertmanager.Alertmanager(
            "alertmanager", alerts(receivers=(TEAM,)), alertmanager.AlertmanagerArgs(**args, secrets=told)
        )
        prometheus.Prometheus(
            "prometheus",
            metrics(rules={"a.yml": "groups: []"}, targets={"consul": AUTHORIZED}),
            prometheus.PrometheusArgs(**args, tokens={"consul": "secret-of-consul"}),
        )
        store = elasticsearch.Elasticsearch(
            "elasticsearch", elasticsearch.ElasticsearchSpec(**shape("elasticsearch")), ServerArgs(**args)
        )
        logstash.Logstash("logstash", logs(), logstash.LogstashArgs(**args, elasticsearch=store.address))
        kibana.Kibana(
            "kibana", kibana.KibanaSpec(**shape("kibana")), kibana.KibanaArgs(**args, elasticsearch=store.address)
        )
        boards = grafana.GrafanaSpec(**shape("grafana"), dashboards={"x.json": "{}"})
        grafana.Grafana("grafana", boards, grafana.GrafanaArgs(**args, prometheus="http://prometheus:9090"))

    return declare(program)


def jobs(spec: prometheus.PrometheusSpec) -> dict[str, Any]:
    return {job["job_name"]: job for job in json.loads(prometheus.configuration(spec))["scrape_configs"]}


def test_every_instance_of_a_service_is_a_target_of_its_job():
    more = {"grafana": prometheus.Target(address="grafana:3000")}
    found = jobs(metrics(services={"web": ("web:8000", "web-2:8000")}, targets=more))
    assert set(found) == {"prometheus", "grafana", "web"}
    assert found["web"]["static_configs"] == [{"targets": ["web:8000", "web-2:8000"]}]


def test_a_server_is_asked_where_it_has_its_metrics_with_a_token_from_a_file():
    assert jobs(metrics(targets={"consul": AUTHORIZED}))["consul"] == {
        "job_name": "consul",
        "static_configs": [{"targets": ["consul:8500"]}],
        "metrics_path": "/v1/agent/metrics",
        "params": {"format": ["p"]},
        "authorization": {"credentials_file": "/run/secrets/tokens/consul"},
    }


def test_the_tasks_of_a_swarm_service_are_looked_up_behind_its_name():
    (source,) = jobs(metrics(services={"web": ("web:8000",)}, tasks=True))["web"]["dns_sd_configs"]
    assert (source["names"], source["type"], source["port"]) == (["tasks.web"], "A", 8000)


def test_alerts_go_where_there_is_a_receiver():
    assert "alerting" not in json.loads(prometheus.configuration(metrics()))
    found = json.loads(prometheus.configuration(metrics(alertmanager="alertmanager:9093")))
    assert found["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]


def test_what_prometheus_keeps_is_limited_and_its_memory_too():
    workload = prometheus.workload(metrics(memory=200, retention_days=3, retention_mib=300))
    assert "--storage.tsdb.retention.time=3d" in workload.command
    assert "--storage.tsdb.retention.size=300MB" in workload.command
    assert workload.env == {"GOMEMLIMIT": "170MiB"}


def test_a_changed_configuration_of_prometheus_or_the_alertmanager_restarts_nothing(declared: Recorder):
    live = {"prometheus.yml", "rules/a.yml", "tokens/consul"}
    assert set(declared.one("prometheus-files").inputs["live"]) == live
    assert set(declared.one("alertmanager-files").inputs["live"]) == {"alertmanager.yml", *TEAM.secrets}
    for name in ("prometheus", "alertmanager"):
        assert "/-/reload" in declared.one(f"{name}-ready").inputs["command"][2]


def told(**changed: Any) -> dict[str, Any]:
    return json.loads(alertmanager.configuration(alerts(**changed)))


def test_without_receivers_alerts_are_kept_and_nobody_is_told():
    found = told()
    assert found["receivers"] == [{"name": "nobody"}]
    assert found["route"] == {"receiver": "nobody", "group_by": ["alertname", "severity"], "routes": []}


def test_each_severity_goes_to_those_who_want_it_and_what_is_critical_sooner():
    pager = alertmanager.Receiver(
        name="pager", severities=("critical",), webhook=alertmanager.Webhook(url="http://pager")
    )
    found = told(receivers=(pager, TEAM))
    critical, warning = found["route"]["routes"]
    assert (critical["matchers"], warning["matchers"]) == (['severity="critical"'], ['severity="warning"'])
    assert (critical["group_wait"], warning["group_wait"]) == ("10s", "1m")
    by_name = {one["name"]: one for one in found["receivers"]}
    assert [hook["url"] for hook in by_name["critical"]["webhook_configs"]] == ["http://pager", "http://hook"]
    assert [hook["url"] for hook in by_name["warning"]["webhook_configs"]] == ["http://hook"]


def test_a_receiver_is_told_by_every_way_it_has_and_its_secrets_are_files(declared: Recorder):
    found = {one["name"]: one for one in told(receivers=(TEAM,))["receivers"]}["critical"]
    assert found["webhook_configs"] == [
        {
            "url": "http://hook",
            "http_config": {"authorization": {"credentials_file": "/run/secrets/team-webhook-token"}},
            "send_resolved": True,
        }
    ]
    (chat,) = found["slack_configs"]
    assert (chat["api_url_file"], chat["channel"]) == ("/run/secrets/team-slack-url", "#ops")
    assert [mail["to"] for mail in found["email_configs"]] == ["a@example.com", "b@example.com"]
    assert found["email_configs"][0]["auth_password_file"] == "/run/secrets/team-mail-password"
    files = declared.one("alertmanager-files").inputs["files"]
    assert {name: files[name] for name in TEAM.secrets} == {name: f"secret-of-{name}" for name in TEAM.secrets}
    assert "secret-of-" not in files["alertmanager.yml"]


def test_a_receiver_without_logins_has_no_secrets():
    open_ones = alertmanager.Receiver(
        name="open",
        webhook=alertmanager.Webhook(url="http://hook"),
        mail=alertmanager.Mail(to=("a@example.com",), sender="n@example.com", server="mx:25", tls=False),
    )
    assert open_ones.secrets == ()
    found = told(receivers=(open_ones,))["receivers"][1]
    assert found["webhook_configs"] == [{"url": "http://hook", "send_resolved": True}]
    assert found["email_configs"][0]["require_tls"] is False and "auth_username" not in found["email_configs"][0]


def test_what_is_silenced_is_routed_to_nobody_before_anybody_is_told():
    silence = alertmanager.Silence(service="ai", alerts=("ServiceSlow", "GatewaySlow"))
    first, *_ = told(receivers=(TEAM,), silences=(silence,))["route"]["routes"]
    assert first == {"matchers": ['service="ai"', 'alertname=~"ServiceSlow|GatewaySlow"'], "receiver": "nobody"}


def test_what_follows_from_another_alert_is_inhibited():
    rule = alertmanager.Inhibition(source=('a="1"',), target=('b="2"',), equal=("service",))
    assert told(inhibitions=(rule,))["inhibit_rules"] == [
        {"source_matchers": ['a="1"'], "target_matchers": ['b="2"'], "equal": ["service"]}
    ]


@pytest.mark.parametrize(("memory", "heap"), [(400, 160), (1024, 409)])
def test_elasticsearchs_heap_follows_its_limit(memory: int, heap: int):
    env = elasticsearch.workload(elasticsearch.ElasticsearchSpec(**shape("elasticsearch", memory))).env
    assert env["ES_JAVA_OPTS"].startswith(f"-Xms{heap}m -Xmx{heap}m ")


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (elasticsearch.ElasticsearchSpec, "elasticsearch"),
        (prometheus.PrometheusSpec, "prometheus"),
        (alertmanager.AlertmanagerSpec, "alertmanager"),
    ],
)
def test_less_memory_than_a_server_needs_is_refused(spec: Any, kind: str):
    with pytest.raises(ValidationError, match="memory_mib"):
        spec(**shape(kind, 16))


def test_logstash_keeps_on_disk_what_it_took_and_writes_to_elasticsearch(declared: Recorder):
    files = declared.one("logstash-files").inputs["files"]
    settings = json.loads(files["logstash.yml"])
    assert (settings["queue.type"], settings["queue.max_bytes"]) == ("persisted", "256mb")
    assert settings["path.config"] == "/run/secrets/pipeline.conf"
    assert 'hosts => ["${ELASTICSEARCH}"]' in files["pipeline.conf"]
    assert f"ELASTICSEARCH={URL}" in declared.one("logstash-server").inputs["envs"]


def test_kibana_knows_the_logs_from_its_first_start(declared: Recorder):
    gate = declared.one("kibana-ready").inputs
    assert json.loads(gate["stdin"])["index_pattern"]["title"] == "logs-*"
    assert f"ELASTICSEARCH_HOSTS={URL}" in declared.one("kibana-server").inputs["envs"]


def test_grafanas_password_is_a_file_and_another_one_restarts_nothing(declared: Recorder):
    files = declared.one("grafana-files").inputs
    assert files["files"]["admin-password"] == "secret-of-grafana-password"
    assert set(files["live"]) == {"admin-password", grafana.BUNDLE}
    assert "reset-admin-password --password-from-stdin < " in declared.one("grafana-ready").inputs["command"][2]
    exposed = str([declared.one("grafana-server").inputs.get(key) for key in ("envs", "command", "labels")])
    assert "secret-of-" not in exposed


def test_all_dashboards_are_one_file_that_the_gate_unpacks_in_place_of_those_before(tmp_path: Path):
    def unpacked(**dashboards: str) -> dict[str, str]:
        (tmp_path / "bundle").write_text(grafana.bundle({f"{name}.json": text for name, text in dashboards.items()}))
        command = grafana.UNPACK.format(data=tmp_path, bundle=tmp_path / "bundle", folder=grafana.UNPACKED)
        subprocess.run(["sh", "-c", command], check=True, timeout=20)
        return {file.stem: file.read_text() for file in (tmp_path / grafana.UNPACKED).iterdir()}

    assert unpacked(a="{}", b='{"title": "Größe"}') == {"a": "{}", "b": '{"title": "Größe"}'}
    assert unpacked(b="{}") == {"b": "{}"}
    assert unpacked() == {}
    assert grafana.bundle({"b": "2", "a": "1"}) == grafana.bundle({"a": "1", "b": "2"})


def test_grafana_looks_for_dashboards_where_the_gate_puts_them():
    spec = grafana.GrafanaSpec(**shape("grafana"))
    (provider,) = json.loads(grafana.provider(spec))["providers"]
    assert provider["options"]["path"] == f"{spec.contract.data}/{grafana.UNPACKED}"
    assert f"cd {spec.contract.data} && " in grafana.workload(spec).ready[2]
    assert provider["updateIntervalSeconds"] > 10, "later releases would watch a folder that is replaced"
    assert not provider["disableDeletion"], "that of a service which is gone goes too"


def test_prometheus_says_what_it_scrapes():
    spec = metrics(services={"web": ("web:8000",)}, alertmanager="alertmanager:9093")
    assert prometheus.jobs(spec) == set(jobs(spec)) == {"prometheus", "alertmanager", "web"}


def test_grafana_has_the_sources_that_there_are():
    def names(**at: str) -> list[str]:
        found = json.loads(grafana.datasources(at.get("prometheus", ""), at.get("elasticsearch", "")))
        return [source["uid"] for source in found["datasources"]]

    assert names() == []
    assert names(prometheus="http://p", elasticsearch="http://e") == ["prometheus", "elasticsearch"]
