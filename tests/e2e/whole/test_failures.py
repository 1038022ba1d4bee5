"""What fails is cut off, comes back by itself, and takes nothing else along; a change touches what it names."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.whole.platform import Platform, eventually

pytestmark = pytest.mark.e2e
#: Seconds in which the platform heals from the restart of a server that all depend on.
HEALED = 30


@pytest.fixture(autouse=True)
def whole(platform: Platform) -> None:
    """A test begins with a platform that is whole, whatever the last one left."""
    eventually(lambda: len(platform.well()) == 32, 60)


@contextmanager
def steady(platform: Platform, path: str) -> Iterator[Counter[str]]:
    """Request after request while the block runs; how often each answer came, or each error."""
    seen: Counter[str] = Counter()
    headers, done = platform.token_of("ann"), threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                seen[str(platform.http.get(path, headers=headers).status_code)] += 1
            except httpx.HTTPError as error:
                seen[type(error).__name__] += 1
            time.sleep(0.02)

    workers = [threading.Thread(target=ask) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        done.set()
        for worker in workers:
            worker.join()


def test_a_killed_instance_costs_no_request_and_is_replaced(platform: Platform) -> None:
    with steady(platform, "/api/v1/items?limit=1") as seen:
        time.sleep(1)
        platform.container("nexus-backend-2").kill()
        eventually(lambda: platform.container("nexus-backend-2").status == "running", 30)
        eventually(lambda: "nexus-backend" in platform.well(), 60)
    assert set(seen) == {"200"}, seen
    assert seen["200"] > 100


def test_a_service_without_an_instance_is_cut_off_and_comes_back(platform: Platform) -> None:
    platform.container("files").stop(timeout=5)
    try:
        assert platform.ask("ann", "GET", "/api/v1/files/health").status_code in (502, 503)
        eventually(lambda: "files" not in platform.well(), 30)
        started = time.monotonic()
        assert platform.ask("ann", "GET", "/api/v1/files/health").status_code == 503
        assert time.monotonic() - started < 2, "nobody waits for what is known to be away"
        assert platform.ask("ann", "GET", "/api/v1/reports/ready").status_code == 200
    finally:
        platform.container("files").start()
    eventually(lambda: platform.ask("ann", "GET", "/api/v1/files/ready").status_code == 200, 30)


@pytest.mark.parametrize("server", ["postgres", "redis", "rabbitmq"])
def test_everything_heals_from_the_restart_of_a_server_and_no_accepted_event_is_lost(
    platform: Platform, server: str
) -> None:
    session = platform.sign_in("ann")
    before, accepted = platform.started(), list[str]()
    headers = {user: platform.token_of(user) for user in ("admin", "ann")}

    def report() -> None:
        event = {"type": "metric.sampled", "source": "tests", "occurred_at": "2026-01-01T10:00:00Z",
                 "payload": {"name": server, "value": len(accepted)}}  # fmt: skip
        answer = platform.http.post("/api/v1/events/", json=event, headers=headers["ann"])
        if answer.status_code == 202:
            accepted.append(answer.json()["id"])

    def healed() -> bool:
        report()
        return platform.ready_services() == set(platform.services)

    report()
    restart = threading.Thread(target=platform.container(server).restart, kwargs={"timeout": 10})
    restart.start()
    while restart.is_alive():
        report()
        time.sleep(0.05)
    eventually(healed, HEALED)
    after = platform.started()
    assert {name for name in after if after[name] != before[name]} == {f"nexus-{platform.stack}-{server}"}
    browser = platform.browser()
    assert browser.refresh(session).access, "who was signed in still is"
    browser.close()
    assert len(accepted) >= 2, "before the restart and after it"
    for event in accepted:
        path = f"/api/v1/transform/events/{event}"
        eventually(lambda path=path: platform.ask("ann", "GET", path).status_code == 200, 10)


def test_a_second_up_changes_nothing(platform: Platform) -> None:
    before = platform.started()
    assert platform.changes("--refresh") == {}
    platform.up()
    assert platform.started() == before


def test_more_memory_for_one_service_changes_its_container_and_restarts_nothing(platform: Platform) -> None:
    before = platform.started()
    platform.write({"services": {"files": {"memory": 224}}})
    changes = platform.changes()
    assert changes == {"update": {"files-server"}}, "the engine changes a limit while the container runs"
    platform.up()
    after = platform.started()
    assert after == before
    assert platform.container("files").attrs["HostConfig"]["Memory"] == 224 * 2**20
    eventually(lambda: platform.ask("ann", "GET", "/api/v1/files/ready").status_code == 200, 30)
