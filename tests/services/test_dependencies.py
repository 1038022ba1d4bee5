"""What happens when PostgreSQL or Redis is away, hangs, comes back, or gets another password."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.services import servers
from tests.services.conftest import Backing


def ready(service: servers.Service) -> tuple[int, dict, float]:
    started = time.perf_counter()
    answer = httpx.get(service.url + "/ready", timeout=5)
    return answer.status_code, answer.json(), time.perf_counter() - started


def test_ready_names_each_dependency_with_its_latency(steady):
    status, document, _ = ready(steady)
    assert status == 200
    assert set(document) == {"status", "service", "dependencies"}
    assert (document["status"], document["service"]) == ("ready", "nexus-backend")
    for name in ("postgres", "redis"):
        assert set(document["dependencies"][name]) == {"status", "latency_ms"}
        assert 0 < document["dependencies"][name]["latency_ms"] < 1000


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_stopped_server_is_seen_and_its_return_heals_without_a_restart(steady, backing: Backing, name):
    server: servers.Server = getattr(backing, name)
    server.stop()
    status, document, seconds = ready(steady)
    assert (status, document["status"]) == (503, "unavailable")
    assert seconds < 2.5
    assert document["dependencies"][name]["status"] == "down"
    assert document["dependencies"][name]["error"]
    other = "redis" if name == "postgres" else "postgres"
    assert document["dependencies"][other]["status"] == "up"
    assert steady.status("/health") == 200, "liveness does not depend on other servers"
    pid = steady.process.pid
    server.start()
    servers.eventually(lambda: steady.status("/ready") == 200, 3, "ready again")
    assert steady.process.pid == pid


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_hung_server_is_seen_within_the_bound(steady, backing: Backing, name):
    server: servers.Server = getattr(backing, name)
    hung = [server.process.pid]
    if name == "postgres":  # a session is a process of its own
        hung += children(server.process.pid)
    for pid in hung:
        send(pid, "STOP")
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = [future.result() for future in [pool.submit(ready, steady) for _ in range(2)]]
        item = httpx.post(steady.url + "/items", json={"name": "hung"}, timeout=8)
    finally:
        for pid in hung:
            send(pid, "CONT")
    assert all(status == 503 and seconds < 2.5 for status, _, seconds in answers)
    assert all("no answer within 2 s" in d["dependencies"][name]["error"] or name == "redis" for _, d, _ in answers)
    assert item.status_code == (503 if name == "postgres" else 201), "without its cache the service still works"
    servers.eventually(lambda: steady.status("/ready") == 200, 4, "ready again")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def send(pid: int, name: str) -> None:
    os.kill(pid, getattr(signal, f"SIG{name}"))


def test_a_restart_of_postgres_between_two_requests_is_not_noticed(steady, backing: Backing):
    made = httpx.post(steady.url + "/items", json={"name": "survivor"}).json()
    backing.postgres.stop()
    backing.postgres.start()
    answer = httpx.get(f"{steady.url}/items", params={"limit": 100})
    assert answer.status_code == 200
    assert made["id"] in [item["id"] for item in answer.json()] or len(answer.json()) == 100


def test_the_service_starts_before_its_servers_and_finds_them(backing: Backing, run, tmp_path):
    backing.postgres.stop()
    backing.redis.stop()
    service = run(servers.environment(tmp_path, backing.postgres.port, backing.redis.port))
    assert service.status("/health") == 200
    assert service.status("/ready") == 503
    backing.postgres.start()
    backing.redis.start()
    servers.eventually(lambda: service.status("/ready") == 200, 3, "ready")
    assert httpx.post(service.url + "/items", json={"name": "first"}).status_code == 201


def test_a_missing_dependency_is_a_problem_with_a_retry_after(steady, backing: Backing):
    backing.postgres.stop()
    answer = httpx.get(steady.url + "/items", timeout=5)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    document = answer.json()
    assert document["status"] == 503
    assert document["dependency"] == "postgres"
    assert document["correlation_id"] == answer.headers["x-correlation-id"]


def test_without_its_cache_the_service_still_answers(steady, backing: Backing):
    made = httpx.post(steady.url + "/items", json={"name": "uncached"}).json()
    backing.redis.stop()
    answer = httpx.get(f"{steady.url}/items/{made['id']}")
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "miss")
    assert httpx.post(steady.url + "/counters/visits").status_code == 503


async def test_a_rotated_password_is_read_from_its_file_on_reconnect(service, backing: Backing, tmp_path):
    new = "rotated-S3cret"
    admin = await servers.admin(backing.postgres)
    try:
        await admin.execute(f"alter role nexus password '{new}'")
        await servers.cut_connections(admin)
        servers.eventually(lambda: service.status("/ready") == 503, 3, "the old password is refused")
        (tmp_path / "postgres-password").write_text(new)
        servers.eventually(lambda: service.status("/ready") == 200, 3, "the new password is used")
        assert new not in service.output
    finally:
        await admin.execute(f"alter role nexus password '{servers.SECRETS['postgres']}'")
        await admin.close()


async def test_without_its_table_the_service_is_not_ready_and_says_why(steady, backing: Backing):
    admin = await servers.admin(backing.postgres)
    await admin.execute("alter table items rename to away")
    try:
        status, document, _ = ready(steady)
        assert status == 503
        assert "no table items" in document["dependencies"]["postgres"]["error"]
        assert httpx.post(steady.url + "/items", json={"name": "nowhere"}).status_code == 503
    finally:
        await admin.execute("alter table away rename to items")
        await admin.close()
    servers.eventually(lambda: steady.status("/ready") == 200, 3, "ready again")
    assert httpx.post(steady.url + "/items", json={"name": "again"}).status_code == 201
