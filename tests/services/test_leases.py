"""Credentials that Vault lends: renewed, replaced, taken back, and gone while Vault is; no request notices."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg
import httpx
import pytest

from tests.services import servers
from tests.services.estate import Estate

Member = Callable[..., servers.Service]


@contextmanager
def load(service: servers.Service) -> Iterator[list[int]]:
    """Requests that need the database, one after the other on two threads, for as long as the block lasts."""
    statuses: list[int] = []
    over = threading.Event()

    def work() -> None:
        with httpx.Client(timeout=10) as client:
            while not over.is_set():
                statuses.append(client.post(service.url + "/items", json={"name": "load"}).status_code)
                time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield statuses
    over.set()
    for thread in threads:
        thread.join()


async def logins(estate: Estate) -> set[str]:
    connection = await estate.connect("lonely")
    rows = await connection.fetch("select rolname from pg_roles where rolname like 'v-approle-lonely-%'")
    await connection.close()
    return {row["rolname"] for row in rows}


def test_all_a_service_needs_is_in_its_readiness(member: Member):
    document = httpx.get(member("search").url + "/ready").json()
    assert set(document["dependencies"]) == {"vault", "postgres", "redis", "rabbitmq", "consul"}


async def test_logins_that_reach_their_last_hour_are_replaced_without_losing_a_request(member: Member, estate: Estate):
    estate.lend_database("lonely", ttl=3, max_ttl=8)
    try:
        service = member("lonely")
        first = await logins(estate)
        with load(service) as statuses:
            await asyncio.sleep(14)
        assert set(statuses) == {201}
        assert len(statuses) > 100
        assert not first & await logins(estate), "the first login is gone"
    finally:
        estate.lend_database("lonely", ttl=3600, max_ttl=86400)


async def test_a_login_that_is_taken_back_is_replaced_without_losing_a_request(member: Member, estate: Estate):
    service = member("lonely")
    before = await logins(estate)
    with load(service) as statuses:
        await asyncio.sleep(0.5)
        estate.ask_vault("PUT", "sys/leases/revoke-prefix/database/creds/lonely")
        admin = await servers.admin(estate.postgres)  # and the sessions that still had it are ended
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lonely'")
        await admin.close()
        await asyncio.sleep(2)
    failed = [line for line in service.output.splitlines() if "request failed" in line]
    assert set(statuses) == {201}, failed
    after = await logins(estate)
    assert after and not after & before


def test_vault_is_missed_by_nobody_while_it_is_sealed_or_away(member: Member, estate: Estate):
    service = member("lonely")
    pid = estate.vault.process
    assert pid is not None
    with load(service) as statuses:
        pid.send_signal(19)  # SIGSTOP: hung
        try:
            servers.eventually(lambda: service.status("/ready") == 503, 10, "not ready without Vault")
            assert service.status("/health") == 200
        finally:
            pid.send_signal(18)
        servers.eventually(lambda: service.status("/ready") == 200, 10, "ready again")
    assert set(statuses) == {201}


def test_a_session_that_was_taken_away_is_begun_again_with_all_that_hung_on_it(member: Member, estate: Estate):
    service = member("lonely")
    for accessor in estate.ask_vault("LIST", "auth/token/accessors")["data"]["keys"]:
        looked_up = estate.ask_vault("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
        if looked_up["meta"] and looked_up["meta"].get("role_name") == "lonely":
            estate.ask_vault("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    with load(service) as statuses:
        time.sleep(1)
    assert set(statuses) == {201}
    servers.eventually(lambda: service.status("/ready") == 200, 20, "ready again")


def test_a_service_that_starts_before_its_role_is_made_waits_for_it(member: Member, estate: Estate):
    estate.ask_vault("DELETE", "auth/approle/role/lonely")
    service = member("lonely", ready=False)
    assert service.status("/health") == 200
    answer = httpx.get(service.url + "/ready")
    assert answer.status_code == 503
    assert "no login" in answer.json()["dependencies"]["vault"]["error"]
    assert httpx.get(service.url + "/items").status_code == 503
    estate.grant(["lonely"])
    servers.eventually(lambda: service.status("/ready") == 200, 10, "ready")


async def test_a_stop_gives_back_what_was_lent(member: Member, estate: Estate):
    before = await logins(estate)
    service = member("lonely")
    mine = await logins(estate) - before
    assert mine
    assert service.stop() == 0
    deadline = time.monotonic() + 10
    while mine & await logins(estate):
        assert time.monotonic() < deadline, "the login is still there"
        await asyncio.sleep(0.1)


def test_a_rotated_redis_password_is_read_again(member: Member, estate: Estate):
    import redis

    service = member("lonely")
    client = redis.Redis(port=estate.ports["redis"], username="lonely", password=estate.redis_passwords["lonely"])
    assert client.ping()
    client.close()
    manager = redis.Redis(port=estate.ports["redis"], username="manager", password=estate.manager_password)
    new = "rotated-S3cret-of-lonely"
    try:
        entry = {"username": "lonely", "password": new}
        manager.execute_command("ACL", "SETUSER", "lonely", "resetpass", f">{new}")
        manager.execute_command("CLIENT", "KILL", "USER", "lonely")
        estate.ask_vault("POST", "secret/data/services/lonely/redis", {"data": entry})

        def counts() -> bool:
            return httpx.post(service.url + "/counters/rotated").status_code == 200

        servers.eventually(counts, 10, "Redis is used with the new password")
        assert new not in service.output
    finally:
        manager.execute_command("ACL", "SETUSER", "lonely", "resetpass", f">{estate.redis_passwords['lonely']}")
        manager.execute_command("CLIENT", "KILL", "USER", "lonely")
        manager.close()
        entry = {"username": "lonely", "password": estate.redis_passwords["lonely"]}
        estate.ask_vault("POST", "secret/data/services/lonely/redis", {"data": entry})


async def test_a_lease_opens_nothing_that_is_anothers(estate: Estate, member: Member):
    member("lonely")
    body = {"role_id": "lonely", "secret_id": estate.secret_ids["lonely"]}
    token = httpx.post(f"{estate.vault_address}/v1/auth/approle/login", json=body, timeout=10).json()["auth"]
    headers = {"X-Vault-Token": token["client_token"]}
    for path in ("secret/data/services/ai/upstream", "database/creds/transform", "rabbitmq/creds/events"):
        assert httpx.get(f"{estate.vault_address}/v1/{path}", headers=headers, timeout=10).status_code == 403
    leased = httpx.get(f"{estate.vault_address}/v1/database/creds/lonely", headers=headers, timeout=10).json()["data"]
    where = {"host": "127.0.0.1", "port": estate.postgres.port, "user": leased["username"]}
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(**where, password=leased["password"], database="transform")


def test_services_find_each_other_and_a_dead_instance_is_passed_over(member: Member, estate: Estate):
    lonely, events = member("lonely"), member("events")
    answer = httpx.get(f"{lonely.url}/neighbours/events", headers={"X-Correlation-ID": "across-1"})
    assert (answer.status_code, answer.json()["status"]) == (200, 200)
    estate.announce("events", 1, number=1)  # listed, and nobody there
    try:
        time.sleep(3.2)  # the answer known so far is used for 3 s
        statuses = [httpx.get(f"{lonely.url}/neighbours/events").status_code for _ in range(6)]
        assert set(statuses) == {200}
    finally:
        estate.ask_consul("PUT", "catalog/deregister", {"Node": "events-1"})
    gone = httpx.get(f"{lonely.url}/neighbours/nobody")
    assert (gone.status_code, gone.json()["dependency"]) == (503, "nobody")
    del events


def test_whoami_shows_what_the_gateway_says(member: Member):
    headers = {"X-Consumer-Username": "role-user", "X-Consumer-Groups": "user, reader", "X-Correlation-ID": "who-1"}
    answer = httpx.get(member("lonely").url + "/whoami", headers=headers).json()
    assert answer == {
        "username": "role-user",
        "custom_id": "",
        "groups": ["user", "reader"],
        "correlation_id": "who-1",
    }


def test_nothing_secret_is_logged_on_the_way(member: Member, estate: Estate):
    service = member("search", NEXUS_LOG_LEVEL="debug")
    for path in ("/ready", "/metrics", "/neighbours/events", "/events"):
        service.status(path)
    assert estate.secrets_in(service.output) == []
    assert all(json.loads(line) for line in service.output.splitlines())
