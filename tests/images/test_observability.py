"""What watches the platform, in its images and as the components run it: metrics, alerts, logs, and their pages."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from components import alertmanager, elasticsearch, grafana, kibana, logstash, prometheus
from components.workload import Port, WorkloadSpec
from infra import images
from tests.images.conftest import Under

pytestmark = pytest.mark.engine
PASSWORD = "first-password"


def common(kind: str, memory: int) -> dict[str, Any]:
    port = Port(container=images.contract(kind).ports["http"], host=20000)
    return {"stack": "test", "contract": images.contract(kind), "memory_mib": memory, "port": port}


class Servers:
    """Runs workloads as the components declare them, and reaches their ports from here."""

    def __init__(self, under: Under, image: Any) -> None:
        self.under, self.image = under, image
        self.clients: list[httpx.Client] = []

    def run(
        self, workload: WorkloadSpec, files: Mapping[str, str] | None = None, port: str = "http", data: str = ""
    ) -> SimpleNamespace:
        kind = workload.contract.name
        container_port = workload.contract.ports[port]
        container = self.under.run(
            kind,
            self.image(kind),
            command=workload.command,
            env=workload.env,
            files=files,
            data=data,
            ports={f"{container_port}/tcp": ("127.0.0.1", 0)},
        )
        container.reload()
        published = container.attrs["NetworkSettings"]["Ports"][f"{container_port}/tcp"][0]["HostPort"]
        client = httpx.Client(base_url=f"http://127.0.0.1:{published}", timeout=30)
        self.clients.append(client)
        return SimpleNamespace(container=container, client=client, workload=workload)

    def healthy(self, server: SimpleNamespace, within: float = 90) -> None:
        self.under.answers(server.container, server.workload.check.command, within)

    def ready(self, server: SimpleNamespace, stdin: str = "") -> None:
        command = list(server.workload.ready)
        if stdin:
            command = ["sh", "-c", f"printf %s '{stdin}' | {{ {command[2]}; }}"]
        self.under.answers(server.container, command, 30)


@pytest.fixture
def servers(under: Under, image: Any) -> Iterator[Servers]:
    made = Servers(under, image)
    yield made
    for client in made.clients:
        client.close()


def eventually(ask: Any, within: float = 20) -> Any:
    end = time.monotonic() + within
    while True:
        try:
            answer = ask()
        except httpx.TransportError as error:
            answer, why = None, error
        else:
            why = answer
        if answer:
            return answer
        assert time.monotonic() < end, why
        time.sleep(0.2)


def metrics_spec(**more: Any) -> prometheus.PrometheusSpec:
    return prometheus.PrometheusSpec(**common("prometheus", 128), **more)


def targets(server: SimpleNamespace) -> dict[str, str]:
    active = server.client.get("/api/v1/targets").json()["data"]["activeTargets"]
    return {target["labels"]["job"]: target["health"] for target in active}


def test_prometheus_scrapes_itself_and_the_alertmanager_and_takes_a_new_configuration_while_it_runs(servers):
    receiver_spec = alertmanager.AlertmanagerSpec(**common("alertmanager", 64))
    receiver = servers.run(
        alertmanager.workload(receiver_spec), {"alertmanager.yml": alertmanager.configuration(receiver_spec)}
    )
    spec = metrics_spec(alertmanager="alertmanager:9093")
    rule = {"alert": "Always", "expr": "vector(1)", "labels": {"severity": "warning"}}
    rules = json.dumps({"groups": [{"name": "test", "interval": "1s", "rules": [rule]}]})
    files = {"prometheus.yml": prometheus.configuration(spec).replace("15s", "5s")}
    server = servers.run(prometheus.workload(spec), {**files, "rules/test.yml": rules})
    servers.healthy(server)
    servers.healthy(receiver)
    eventually(lambda: targets(server) == {"prometheus": "up", "alertmanager": "up"}, 30)
    found = eventually(lambda: receiver.client.get("/api/v2/alerts").json(), 60)
    assert found[0]["labels"] == {"alertname": "Always", "severity": "warning", "stack": "test"}

    # The component's own command makes it read its file again.
    changed = metrics_spec(
        alertmanager="alertmanager:9093", targets={"added": prometheus.Target(address="localhost:9090")}
    )
    put(server, {"prometheus.yml": prometheus.configuration(changed)})
    servers.ready(server)
    eventually(lambda: targets(server).get("added") == "up", 30)
    put(server, {"prometheus.yml": "scrape_configs: nonsense"})
    assert servers.under.ask(server.container, server.workload.ready)[0] != 0
    servers.ready(receiver)


def put(server: SimpleNamespace, files: Mapping[str, str]) -> None:
    from tests.images.conftest import packed

    assert server.container.put_archive(server.workload.contract.secrets, packed(files))


def test_prometheus_limits_what_it_keeps_by_time_and_size_and_keeps_it_over_a_restart(servers):
    spec = metrics_spec(retention_days=3, retention_mib=300)
    volume = servers.under.volume()
    files = {"prometheus.yml": prometheus.configuration(spec).replace("15s", "5s")}
    first = servers.run(prometheus.workload(spec), files, data=volume)
    servers.healthy(first)
    flags = first.client.get("/api/v1/status/flags").json()["data"]
    assert (flags["storage.tsdb.retention.time"], flags["storage.tsdb.retention.size"]) == ("3d", "300MiB")
    query = {"query": "prometheus_build_info"}
    eventually(lambda: first.client.get("/api/v1/query", params=query).json()["data"]["result"], 30)
    before = time.time()
    first.container.stop(timeout=20)
    second = servers.run(prometheus.workload(spec), files, data=volume)
    servers.healthy(second)
    kept = second.client.get("/api/v1/query", params={**query, "time": before}).json()["data"]["result"]
    assert kept


def test_prometheus_watches_each_instance_of_a_service_also_behind_one_name(servers):
    """Under one name DNS has an address for each task; here the network's own for two containers."""
    spec = metrics_spec(services={"web": ("prometheus:9090", "nowhere:9090")})
    server = servers.run(prometheus.workload(spec), {"prometheus.yml": prometheus.configuration(spec)})
    servers.healthy(server)
    query = {"query": 'up{job="web"}'}

    def seen() -> dict[str, str]:
        result = server.client.get("/api/v1/query", params=query).json()["data"]["result"]
        return {each["metric"]["instance"]: each["value"][1] for each in result}

    eventually(lambda: seen() == {"prometheus:9090": "1", "nowhere:9090": "0"}, 40)
    behind = metrics_spec(services={"web": ("web:9090",)}, tasks=True)
    for _ in range(2):
        made = servers.run(prometheus.workload(spec), {"prometheus.yml": prometheus.configuration(spec)})
        servers.under.network.disconnect(made.container)
        servers.under.network.connect(made.container, aliases=["tasks.web"])
    put(server, {"prometheus.yml": prometheus.configuration(behind)})
    servers.ready(server)
    eventually(lambda: sum(up == "1" for at, up in seen().items() if at[0].isdigit()) == 2, 60)


def elastic_spec() -> elasticsearch.ElasticsearchSpec:
    return elasticsearch.ElasticsearchSpec(**common("elasticsearch", 400))


def logstash_files(spec: logstash.LogstashSpec) -> dict[str, str]:
    return {
        "logstash.yml": logstash.configuration(spec),
        "log4j2.properties": logstash.LOGGING,
        "pipeline.conf": logstash.PIPELINE.read_text(),
        "logs-template.json": logstash.template(),
    }


def logs_spec() -> logstash.LogstashSpec:
    return logstash.LogstashSpec(stack="test", contract=images.contract("logstash"), memory_mib=64)


def test_logs_go_from_logstash_to_elasticsearch_and_are_found_in_kibana(servers):
    volume = servers.under.volume()
    shipper = servers.run(
        logstash.workload(logs_spec(), "http://elasticsearch:9200"), logstash_files(logs_spec()), data=volume
    )
    servers.healthy(shipper)
    line = {"message": json.dumps({"time": "2026-01-02T03:04:05Z", "level": "error", "message": "it broke"})}
    assert shipper.client.post("/", json=line).text == "ok"  # kept on disk: Elasticsearch is not there yet

    viewer_spec = kibana.KibanaSpec(**common("kibana", 64))
    viewer = servers.run(kibana.workload(viewer_spec, "http://elasticsearch:9200"))
    eventually(lambda: viewer.client.get("/api/status").status_code == 503)
    servers.healthy(viewer)  # as far as it can be by itself: nobody restarts it for what Elasticsearch lacks
    assert servers.under.ask(viewer.container, viewer.workload.contract.health)[0] != 0
    shipper.container.kill()  # and again after a kill
    store = servers.run(elasticsearch.workload(elastic_spec()))
    servers.healthy(store)
    shipper = servers.run(
        logstash.workload(logs_spec(), "http://elasticsearch:9200"), logstash_files(logs_spec()), data=volume
    )
    servers.healthy(shipper)
    servers.under.answers(viewer.container, viewer.workload.contract.health, 90)
    servers.ready(viewer, json.dumps(kibana.INDEX_PATTERN))
    found = viewer.client.get("/api/saved_objects/_find", params={"type": "index-pattern"}).json()["saved_objects"]
    assert [each["attributes"]["title"] for each in found] == ["logs-*"]

    asked = {"index": "logs-*", "query": "level:error and message:broke", "from": 0, "to": 1893456000000}
    search = {"url": "/internal/search/discover", "json": asked, "headers": {"kbn-xsrf": "test"}}
    hits = eventually(lambda: viewer.client.post(**search).json().get("hits", {}).get("hits"), 40)
    assert hits[0]["_source"]["@timestamp"] == "2026-01-02T03:04:05.000Z"
    assert hits[0]["_index"] == "logs-2026.01.02"
    assert re.fullmatch(r"[\d.]+", hits[0]["_source"]["client"]["ip"])
    mapping = store.client.get("/logs-2026.01.02/_mapping").json()["logs-2026.01.02"]["mappings"]["properties"]
    assert (mapping["level"]["type"], mapping["message"]["type"]) == ("keyword", "text")


def test_elasticsearch_keeps_its_documents_over_a_restart_and_takes_settings_from_its_environment(servers):
    volume = servers.under.volume()
    first = servers.run(elasticsearch.workload(elastic_spec()), data=volume)
    servers.healthy(first)
    info = first.client.get("/").json()
    assert (info["cluster_name"], info["version"]["number"]) == ("nexus-test", images.load()["elasticsearch"].version)
    jvm = first.client.get("/_nodes/_local/jvm").json()["nodes"].popitem()[1]["jvm"]
    assert jvm["mem"]["heap_max_in_bytes"] < 165 * 1024**2
    assert jvm["using_compressed_ordinary_object_pointers"] == "true"
    assert first.client.put("/kept/_doc/1?refresh=true", json={"n": 1}).status_code == 201
    first.container.stop(timeout=30)
    first.container.reload()
    assert first.container.attrs["State"]["ExitCode"] in (0, 143)
    second = servers.run(elasticsearch.workload(elastic_spec()), data=volume)
    servers.healthy(second)
    assert second.client.get("/kept/_doc/1").json()["_source"] == {"n": 1}


def grafana_spec() -> grafana.GrafanaSpec:
    return grafana.GrafanaSpec(**common("grafana", 64))


def grafana_files(password: str = PASSWORD) -> dict[str, str]:
    board = json.dumps({"uid": "b", "title": "Board", "panels": []})
    return {
        "admin-password": password,
        grafana.DATASOURCES: grafana.datasources("http://prometheus:9090", ""),
        grafana.DASHBOARDS: grafana.provider(grafana_spec()),
        grafana.BUNDLE: grafana.bundle({"board.json": board}),
    }


def test_grafana_shows_what_its_files_declare_and_a_changed_password_needs_no_restart(servers):
    metrics = servers.run(
        prometheus.workload(metrics_spec()), {"prometheus.yml": prometheus.configuration(metrics_spec())}
    )
    server = servers.run(grafana.workload(grafana_spec()), grafana_files())
    servers.healthy(server)
    servers.healthy(metrics)
    servers.ready(server)
    assert server.client.get("/api/search").status_code == 401
    signed = {"auth": ("admin", PASSWORD)}
    # unpacked once it was ready; the server looks every ten seconds
    eventually(lambda: [each["uid"] for each in server.client.get("/api/search", **signed).json()] == ["b"])
    assert server.client.get("/api/datasources/uid/prometheus/health", **signed).json()["status"] == "OK"
    proxied = "/api/datasources/proxy/uid/prometheus/api/v1/query?query=1%2B1"
    assert server.client.get(proxied, **signed).json()["data"]["result"][1] == "2"
    began = server.container.attrs["State"]["StartedAt"]

    put(server, {"admin-password": "second-password"})
    servers.ready(server)
    assert server.client.get("/api/search", **signed).status_code == 401
    assert server.client.get("/api/search", auth=("admin", "second-password")).status_code == 200
    server.container.reload()
    assert server.container.attrs["State"]["StartedAt"] == began
    exposed = json.dumps([server.container.attrs["Config"]["Env"], server.container.top()])
    assert PASSWORD not in exposed and "second-password" not in exposed


def test_a_health_check_of_these_costs_little(servers):
    """Of each the client alone: no virtual machine is started to ask."""
    for kind in ("prometheus", "alertmanager", "elasticsearch", "logstash", "kibana", "grafana"):
        assert {"wget", "curl"} & set(images.contract(kind).health[:3]), kind
