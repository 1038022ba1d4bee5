"""Events from the caller to the database, the cache and the audit trail, over real servers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import asyncpg
import httpx
import pytest

from tests.services import servers
from tests.services.estate import VAULT_PASSWORD, Estate

Member = Callable[..., servers.Service]
OPERATOR = {"X-Consumer-Username": "role-operator", "X-Consumer-Groups": "operator, user"}


def event(kind: str = "user.registered", **payload: object) -> dict:
    content = payload or {"user_id": "u1", "email": " Ada@Example.ORG "}
    moment = datetime.now(UTC).isoformat()
    return {"id": str(uuid4()), "type": kind, "source": "tests", "occurred_at": moment, "payload": content}


def send(service: servers.Service, document: dict, **headers: str) -> httpx.Response:
    try:
        return httpx.post(service.url + "/", json=document, headers=headers, timeout=10)
    except httpx.ConnectError as error:
        raise AssertionError(f"the service does not answer; it said:\n{service.output}") from error


def stored(service: servers.Service, key: str, seconds: float = 10) -> dict:
    def look() -> dict | None:
        answer = httpx.get(f"{service.url}/events/{key}", timeout=5)
        return answer.json() if answer.status_code == 200 else None

    return servers.eventually(look, seconds, f"event {key} is stored")


def test_an_event_is_accepted_normalised_stored_and_audited_with_one_correlation_id(member: Member, estate: Estate):
    events, transform, audit = member("events"), member("transform"), member("audit")
    document = event()
    answer = send(events, document, **{"X-Correlation-ID": "trace-1"})
    assert answer.status_code == 202
    assert answer.json() == {"id": document["id"], "correlation_id": "trace-1"}
    found = stored(transform, document["id"])
    assert found["payload"] == {"user_id": "u1", "email": "ada@example.org"}
    assert found["correlation_id"] == "trace-1"

    def entries() -> list[dict] | None:
        lines = httpx.get(audit.url + "/entries", headers=OPERATOR).json()
        mine = [line for line in lines if line["correlation_id"] == "trace-1"]
        return mine if len(mine) == 2 else None

    lines = servers.eventually(entries, 10, "both messages are audited")
    assert {(line["key"], line["source"]) for line in lines} == {
        ("event.stored", "transform"),
        ("event.received", "events"),
    }
    for service in (events, transform, audit):
        logged = [json.loads(line) for line in service.output.splitlines()]
        assert any(line.get("correlation_id") == "trace-1" for line in logged), service.output
        assert estate.secrets_in(service.output) == []
    assert httpx.get(audit.url + "/entries").status_code == 403


async def test_the_audit_trail_takes_lines_and_gives_none_back(estate: Estate, member: Member):
    member("audit")
    connection = await estate.connect("audit")
    await connection.execute('set role "audit"')
    for statement in ("update audit set key = ''", "delete from audit", "truncate audit"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (event("user.registered", user_id="u1", email="nobody"), "email: String should match"),
        (event("order.placed", order_id="o", amount=1.005, currency="EUR"), "amount: Decimal input"),
        (event("no.such.type", a=1), "there is no event type no.such.type"),
        (event("task.finished", task_id="t", succeeded=True, extra=1), "extra: Extra inputs"),
    ],
    ids=["payload", "amount", "type", "extra"],
)
def test_an_invalid_event_goes_to_the_dead_letters_with_its_reason(member: Member, estate: Estate, document, reason):
    events, transform = member("events"), member("transform")
    assert send(events, document, **{"X-Correlation-ID": "bad-1"}).status_code == 202

    def letter() -> dict | None:
        letters = httpx.get(transform.url + "/dead?limit=50", headers=OPERATOR).json()
        return next((one for one in letters if document["id"] in one["body"]), None)

    found = servers.eventually(letter, 10, "a dead letter")
    assert reason in found["reason"]
    assert (found["key"], found["correlation_id"]) == ("event.received", "bad-1")
    assert servers.eventually(letter, 5, "still there") == found, "looking takes nothing away"
    assert httpx.get(f"{transform.url}/events/{document['id']}").status_code == 404
    assert httpx.get(transform.url + "/dead").status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Bad Type"},
        {"occurred_at": "2026-01-01T00:00:00"},
        {"payload": {"a": "\u0000"}},
        {"source": ""},
        {"x": 1},
    ],
)
def test_an_envelope_that_is_none_is_refused_at_the_door(member: Member, change):
    answer = send(member("events"), event() | change)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_the_same_event_twice_is_one_row(member: Member, estate: Estate):
    events, transform = member("events"), member("transform")
    document = event()
    for _ in range(3):
        assert send(events, document).status_code == 202
    stored(transform, document["id"])
    servers.eventually(lambda: estate.depth("transform") == 0, 10, "the queue is empty")
    connection = await estate.connect("transform")
    assert await connection.fetchval("select count(*) from events where id = $1", document["id"]) == 1
    await connection.close()


def test_a_stored_event_empties_the_cached_pages_of_who_reads_events(member: Member):
    events, _, search = member("events"), member("transform"), member("search")
    page = search.url + "/events?type=user.registered&limit=5"
    first, second = httpx.get(page), httpx.get(page)
    assert (first.status_code, second.headers["x-cache"]) == (200, "hit")
    document = event()
    send(events, document)

    def shown() -> httpx.Response | None:
        answer = httpx.get(page)
        return answer if document["id"] in answer.text else None

    fresh = servers.eventually(shown, 10, "the new event is on the page")
    assert fresh.headers["x-cache"] in ("miss", "hit")
    assert httpx.get(page).headers["x-cache"] == "hit"
    one = f"{search.url}/events/{document['id']}"
    assert [httpx.get(one).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]
    assert httpx.get(f"{search.url}/events/{uuid4()}").status_code == 404


def test_a_message_that_is_no_event_and_one_whose_service_cannot_work_are_both_buried(member: Member, estate: Estate):
    transform = member("transform", NEXUS_SETTINGS='{"retry_seconds": 1}')
    credentials = estate.ask_broker("GET", "whoami")["name"]
    body = {"properties": {"message_id": "m1"}, "routing_key": "event.received", "payload_encoding": "string"}
    right = {"configure": ".*", "write": ".*", "read": ".*"}
    estate.ask_broker("PUT", f"permissions/nexus/{credentials}", right)
    estate.ask_broker("POST", "exchanges/nexus/events/publish", body | {"payload": "not json"})

    def reasons() -> str:
        return " ".join(one["reason"] for one in httpx.get(transform.url + "/dead?limit=50", headers=OPERATOR).json())

    servers.eventually(lambda: "the event is not valid" in reasons(), 10, "buried")
    assert "not json" not in transform.output


async def test_a_hundred_acknowledged_events_survive_a_restart_of_the_broker_and_of_the_database(
    member: Member, estate: Estate
):
    events, transform = member("events"), member("transform")
    accepted: list[str] = []
    refused = 0
    for number in range(100):
        if number == 20:
            estate.broker.restart(timeout=5)
        if number == 60:
            estate.postgres.stop()
        if number == 80:
            estate.postgres.start()
        document = event("task.finished", task_id=f"t{number}", succeeded=True)
        answer = send(events, document)
        while answer.status_code == 503:
            refused += 1
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["dependency"] == "rabbitmq"
            time.sleep(0.2)
            answer = send(events, document)
        assert answer.status_code == 202
        accepted.append(document["id"])
    servers.eventually(lambda: estate.broker_answers() and estate.depth("transform") == 0, 60, "the queue is empty")
    servers.eventually(lambda: transform.status("/ready") == 200, 10, "ready")
    connection = await estate.connect("transform")
    rows = await connection.fetch("select id from events where id = any($1::uuid[])", accepted)
    await connection.close()
    assert {str(row["id"]) for row in rows} == set(accepted)


async def test_a_service_may_not_read_the_queue_of_another_nor_make_one(member: Member, estate: Estate):
    member("events")
    headers = {"X-Vault-Token": login(estate, "events")}
    leased = httpx.get(f"{estate.vault_address}/v1/rabbitmq/creds/events", headers=headers, timeout=10).json()["data"]
    connection = await aio_pika.connect(
        host="127.0.0.1",
        port=estate.ports["amqp"],
        virtualhost="nexus",
        login=leased["username"],
        password=leased["password"],
    )
    for act in (
        lambda channel: channel.declare_queue("mine"),
        lambda channel: channel.get_queue("transform", ensure=False),
    ):
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.AMQPError, match="ACCESS_REFUSED"):
            await (await act(channel)).get(fail=False)
    await connection.close()
    assert VAULT_PASSWORD not in leased.values()


def login(estate: Estate, name: str) -> str:
    body = {"role_id": name, "secret_id": estate.secret_ids[name]}
    answer = httpx.post(f"{estate.vault_address}/v1/auth/approle/login", json=body, timeout=10)
    return answer.json()["auth"]["client_token"]
