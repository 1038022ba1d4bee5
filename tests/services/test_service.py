"""The reference service from outside: items, documents, logs, metrics, settings, start and stop."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time

import httpx
import pytest

from tests.services import servers
from tests.services.conftest import Backing


def test_an_item_goes_round_and_its_second_read_comes_from_the_cache(steady):
    made = httpx.post(steady.url + "/items", json={"name": "Größe", "value": "x" * 100})
    assert made.status_code == 201
    where = made.headers["location"]
    first, second = httpx.get(steady.url + where), httpx.get(steady.url + where)
    assert first.json() == second.json() == made.json()
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert httpx.delete(steady.url + where).status_code == 204
    gone = httpx.get(steady.url + where)
    assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")


def test_pages_follow_each_other(steady):
    for number in range(3):
        httpx.post(steady.url + "/items", json={"name": f"page {number}"}).raise_for_status()
    first = httpx.get(steady.url + "/items", params={"limit": 2}).json()
    second = httpx.get(steady.url + "/items", params={"limit": 2, "after": first[-1]["id"]}).json()
    ids = [item["id"] for item in first + second]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) >= 3


def test_a_counter_counts(steady):
    values = [httpx.post(steady.url + "/counters/visits").json()["value"] for _ in range(2)]
    assert values[1] == values[0] + 1


@pytest.mark.parametrize(
    "body", ['{"name": ""}', '{"value": "x"}', '{"name": "a\\u0000b"}', "not json", '{"name": "' + "x" * 201 + '"}']
)
def test_a_bad_item_is_refused_with_the_field_and_the_rule(steady, body):
    answer = httpx.post(steady.url + "/items", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert all(error["at"].startswith("body") and error["rule"] for error in answer.json()["errors"])


def test_a_service_without_dependencies_is_ready_and_has_no_items(run, tmp_path):
    service = run(servers.environment(tmp_path))
    answer = httpx.get(service.url + "/ready")
    assert answer.json() == {"status": "ready", "service": "nexus-backend", "dependencies": {}}
    assert service.status("/items") == 404
    assert httpx.get(service.url + "/").json()["dependencies"] == []


def test_the_gateways_prefix_is_in_links_and_in_the_openapi_document(steady):
    prefix = {"X-Forwarded-Prefix": "/api/v1"}
    assert httpx.get(steady.url + "/", headers=prefix).json()["links"]["ready"] == "/api/v1/ready"
    document = httpx.get(steady.url + "/openapi.json", headers=prefix).json()
    assert document["servers"] == [{"url": "/api/v1"}]
    assert {"/health", "/ready", "/metrics", "/items", "/items/{key}"} <= set(document["paths"])
    made = httpx.post(steady.url + "/items", json={"name": "behind"}, headers=prefix)
    assert made.headers["location"].startswith("/api/v1/items/")
    hostile = httpx.get(steady.url + "/", headers={"X-Forwarded-Prefix": "//elsewhere.example"})
    assert hostile.json()["links"]["ready"] == "/ready"
    assert "servers" not in httpx.get(steady.url + "/openapi.json").json()


def test_the_correlation_id_is_taken_from_the_caller_echoed_and_logged(steady):
    answer = httpx.get(steady.url + "/items", headers={"X-Correlation-ID": "abc-123"})
    assert answer.headers["x-correlation-id"] == "abc-123"
    assert httpx.get(steady.url + "/", headers={"X-Request-ID": "req-9"}).headers["x-correlation-id"] == "req-9"
    made_up = httpx.get(steady.url + "/", headers={"X-Correlation-ID": 'bad id "'}).headers["x-correlation-id"]
    assert re.fullmatch("[0-9a-f]{32}", made_up)
    lines = servers.eventually(
        lambda: [line for line in log(steady) if line.get("correlation_id") == "abc-123"], 2, "log"
    )
    line = lines[-1]
    assert {"timestamp", "level", "service", "stack", "logger", "message"} <= set(line)
    assert (line["level"], line["service"], line["stack"]) == ("info", "nexus-backend", "test")
    assert (line["method"], line["path"], line["route"], line["status"]) == ("GET", "/items", "/items", 200)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])


def log(service: servers.Service) -> list[dict]:
    return [json.loads(line) for line in service.output.splitlines()]


def test_checks_and_scrapes_are_not_in_the_log_and_no_password_is(service, backing: Backing):
    for path in ("/health", "/metrics", "/ready", "/items", "/nowhere"):
        service.status(path)
    backing.redis.stop()
    backing.postgres.stop()
    for path in ("/ready", "/items"):
        service.status(path)
    paths = [line.get("path") for line in log(service)]
    assert "/items" in paths
    assert "/health" not in paths
    assert "/metrics" not in paths
    assert any(line["message"].startswith("postgres is away") for line in log(service))
    for secret in servers.SECRETS.values():
        assert secret not in service.output
        assert secret not in httpx.get(service.url + "/ready").text


def test_metrics_tell_rate_errors_duration_pools_and_dependencies(service):
    httpx.get(service.url + "/items/00000000-0000-0000-0000-000000000000")
    httpx.get(service.url + "/no/such/path")
    answer = httpx.get(service.url + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    text = answer.text
    for line in (
        'http_requests_total{method="GET",route="/items/{key}",status="404"} 1.0',
        'http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'http_request_duration_seconds_count{method="GET",route="/items/{key}"} 1.0',
        "http_requests_in_flight 1.0",
        'nexus_dependency_up{dependency="postgres"} 1.0',
        'nexus_dependency_up{dependency="redis"} 1.0',
        'nexus_pool_connections{dependency="postgres",state="max"} 5.0',
        'nexus_pool_connections{dependency="redis",state="in_use"} 0.0',
        'nexus_cache_requests_total{result="miss"} 1.0',
    ):
        assert line in text
    assert re.search(r'nexus_build_info\{.*service="nexus-backend".*\} 1.0', text)
    assert re.search(r"process_resident_memory_bytes \d", text)
    openmetrics = httpx.get(service.url + "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.text.endswith("# EOF\n")


async def test_a_stop_finishes_the_request_in_flight(service, backing: Backing):
    blocker = await servers.admin(backing.postgres)
    lock = blocker.transaction()
    await lock.start()
    await blocker.execute("lock table items in exclusive mode")
    answers: list[httpx.Response] = []
    request = threading.Thread(
        target=lambda: answers.append(httpx.post(service.url + "/items", json={"name": "in flight"}, timeout=10))
    )
    request.start()
    time.sleep(0.3)
    process = service.process
    process.terminate()
    time.sleep(0.5)
    assert process.poll() is None
    await lock.commit()
    await blocker.close()
    request.join()
    assert answers[0].status_code == 201
    assert process.wait(5) == 0
    assert log(service)[-1]["message"] == "stopped"


def test_an_idle_service_stops_at_once_with_exit_code_zero(service):
    with httpx.Client() as client:  # an idle keep-alive connection does not hold it up
        client.get(service.url + "/health")
        started = time.perf_counter()
        assert service.stop() == 0
    assert time.perf_counter() - started < 2


def start_badly(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.reference"],
        env=settings,
        cwd=servers.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_bad_settings_are_told_at_once_with_value_rule_and_remedy(tmp_path):
    done = start_badly(
        NEXUS_SERVICE="Bad Name",
        NEXUS_PORT="70000",
        NEXUS_LOG_LEVEL="loud",
        NEXUS_POSTGRES_HOST="db",
        NEXUS_POSTGRES_PASSWORD_FILE=str(tmp_path / "absent"),
        NEXUS_REDIS_HSOT="x",
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for words in (
        "NEXUS_SERVICE = 'Bad Name'",
        "NEXUS_STACK is missing",
        "NEXUS_PORT = '70000'",
        "a port number, 1 to 65535",
        "NEXUS_LOG_LEVEL = 'loud'",
        "absent': no such file",
        "NEXUS_REDIS_HSOT: there is no such setting",
        "NEXUS_REDIS_HOST is missing",
        "Correct it in the container's environment",
    ):
        assert words in done.stderr


def test_an_unknown_setting_is_warned_of(run, tmp_path):
    service = run(servers.environment(tmp_path) | {"NEXUS_POSTGRESS_HOST": "typo"})
    assert any("NEXUS_POSTGRESS_HOST is not a setting" in line["message"] for line in log(service))


def test_the_health_check_follows_the_path_it_is_given(service, backing: Backing):
    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.healthcheck", *arguments],
            env={"NEXUS_PORT": str(service.port)},
            cwd=servers.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert check().returncode == check("/ready").returncode == 0
    backing.redis.stop()
    assert check().returncode == 0
    down = check("/ready")
    assert down.returncode == 1
    assert down.stdout.startswith("/ready: 503")
    service.stop()
    assert check().returncode == 1
