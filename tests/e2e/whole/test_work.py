"""What the services do together: events from their arrival to the search, and completions."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.whole.platform import Platform, eventually

pytestmark = pytest.mark.e2e
#: Seconds from an accepted event to an answer that has it; two consumers and a cache are between them.
ARRIVAL = 10


def order(**changes: Any) -> dict[str, Any]:
    payload = {"order_id": "7", "amount": 12.5, "currency": "eur"} | changes
    return {
        "id": str(uuid4()), "type": "order.placed", "source": "tests", "occurred_at": "2026-01-01T10:00:00+02:00",
        "payload": payload,
    }  # fmt: skip


def test_an_event_is_checked_stored_found_and_audited_under_one_correlation_id(platform: Platform) -> None:
    def listed() -> list[dict[str, Any]]:
        return platform.ask("ann", "GET", "/api/v1/search/events?type=order.placed&limit=100").json()

    listed()
    known = platform.ask("ann", "GET", "/api/v1/search/events?type=order.placed&limit=100")
    assert known.headers["x-cache"] == "hit"
    event, correlation = order(), f"tests-{uuid4()}"
    sent = platform.ask("ann", "POST", "/api/v1/events/", json=event, headers={"X-Correlation-ID": correlation})
    assert (sent.status_code, sent.json()) == (202, {"id": event["id"], "correlation_id": correlation})

    eventually(lambda: event["id"] in [one["id"] for one in listed()], ARRIVAL)  # so the cached page is forgotten
    found = platform.ask("ann", "GET", f"/api/v1/search/events/{event['id']}").json()
    assert found["payload"] == {"order_id": "7", "amount": "12.50", "currency": "EUR"}
    assert (found["occurred_at"][:19], found["correlation_id"]) == ("2026-01-01T08:00:00", correlation)

    def trail() -> list[str]:
        entries = platform.ask("olga", "GET", "/api/v1/audit/entries?limit=100").json()
        return sorted(one["key"] for one in entries if one["correlation_id"] == correlation)

    eventually(lambda: trail() == ["event.received", "event.stored"], ARRIVAL)


def test_an_event_sent_twice_is_one(platform: Platform) -> None:
    event = order()
    for _ in range(2):
        assert platform.ask("ann", "POST", "/api/v1/events/", json=event).status_code == 202
    path = "/api/v1/transform/events?type=order.placed&limit=100"
    eventually(lambda: event["id"] in platform.ask("ann", "GET", path).text, ARRIVAL)
    assert platform.ask("ann", "GET", path).text.count(event["id"]) == 1


def test_an_invalid_event_is_shown_to_operators_with_the_reason(platform: Platform) -> None:
    event = order(amount=-1)
    assert platform.ask("ann", "POST", "/api/v1/events/", json=event).status_code == 202

    def letter() -> dict[str, Any]:
        letters = platform.ask("olga", "GET", "/api/v1/transform/dead?limit=50").json()
        (one,) = [one for one in letters if event["id"] in one["body"]]
        return one

    eventually(letter, ARRIVAL)
    assert "amount: Input should be greater than 0" in letter()["reason"]
    assert platform.ask("ann", "GET", "/api/v1/transform/dead").status_code == 403
    assert platform.ask("ann", "GET", f"/api/v1/search/events/{event['id']}").status_code == 404


def test_a_completion_comes_from_the_upstream_whose_key_only_it_sees(platform: Platform) -> None:
    prompt = {"messages": [{"role": "user", "content": "say hello"}]}
    answer = platform.ask("ann", "POST", "/api/v1/ai/completions", json=prompt)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["text"], answer.json()["usage"]["total_tokens"]) == ("SAY HELLO", 7)
    headers, asked = platform.upstream.requests[-1]
    assert (headers["authorization"], asked["model"]) == (f"Bearer {platform.key}", "small")

    platform.upstream.status = 500
    try:
        failed = platform.ask("ann", "POST", "/api/v1/ai/completions", json=prompt)
    finally:
        platform.upstream.status = 200
    assert failed.status_code == 502
    assert platform.key not in places(platform) + answer.text + failed.text


def test_above_the_limit_is_429_with_the_time_to_wait(platform: Platform) -> None:
    left = 60 - time.time() % 60
    time.sleep(left + 0.1 if left < 15 else 0)  # a minute's count begins anew with the minute
    headers = platform.token_of("ann")
    answers = [platform.http.get("/api/v1/ai/health", headers=headers) for _ in range(62)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == sorted(statuses) and set(statuses) == {200, 429}
    assert answers[0].headers["x-ratelimit-limit-minute"] == "60"
    last = answers[-1]
    assert (last.headers["ratelimit-limit"], last.headers["ratelimit-remaining"]) == ("60", "0")
    assert 0 < int(last.headers["retry-after"]) <= 60
    assert platform.http.get("/api/v1/files/health", headers=headers).status_code == 200, "others are not held up"


def places(platform: Platform) -> str:
    """Where a key could have been left: what is shown of the containers, their logs, the settings, the plain state."""
    shown = [platform.settings_file.read_text(), platform.nexus("preview", "--json").stdout]
    shown += [path.read_text(errors="replace") for path in platform.home.rglob("*.json*")]
    for container in platform.containers():
        shown += [json.dumps(container.attrs), container.logs().decode(errors="replace")]
    assert len(shown) > 40
    return "".join(shown)
