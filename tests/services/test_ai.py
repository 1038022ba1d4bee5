"""Role ``ai`` against a small OpenAI-compatible upstream: the key, the limits, the breaker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.services import servers
from tests.services.estate import API_KEY, Estate

ASK = {"messages": [{"role": "user", "content": "What is the answer to everything?"}], "max_tokens": 20}


class Upstream(ThreadingHTTPServer):
    """Answers ``/v1/chat/completions`` as the API's reference has it; tests change how."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.key, self.status, self.delay, self.tokens = API_KEY, 200, 0.0, 12
        self.seen: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({"path": self.path, "body": body, "headers": dict(self.headers)})
        time.sleep(self.server.delay)
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            self.answer(401, {"error": {"message": "Incorrect API key provided"}})
        elif self.server.status != 200:
            self.answer(self.server.status, {"error": {"message": "no"}})
        else:
            message = {"role": "assistant", "content": "42"}
            usage = {
                "prompt_tokens": self.server.tokens - 2,
                "completion_tokens": 2,
                "total_tokens": self.server.tokens,
            }
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.answer(200, {"id": "c1", "model": body["model"], "choices": [choice], "usage": usage})

    def answer(self, status: int, document: dict) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ai(member: Callable[..., servers.Service], estate: Estate, upstream: Upstream) -> Callable[..., servers.Service]:
    """The service with limits of a test's own, and nothing counted yet."""
    import redis

    with redis.Redis(port=estate.ports["redis"], username="manager", password=estate.manager_password) as manager:
        for key in manager.scan_iter("ai:*"):
            manager.delete(key)

    def start(**limits: float) -> servers.Service:
        return member("ai", NEXUS_AI_URL=upstream.url, NEXUS_AI_MODEL="small", NEXUS_SETTINGS=json.dumps(limits))

    return start


def ask(service: servers.Service, **headers: str) -> httpx.Response:
    return httpx.post(service.url + "/completions", json=ASK, headers=headers, timeout=10)


def test_a_completion_comes_with_its_cost_and_the_key_stays_inside(ai, upstream: Upstream, estate: Estate):
    service = ai()
    answer = ask(service, **{"X-Correlation-ID": "ai-1"})
    assert answer.json() == {
        "model": "small",
        "text": "42",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }
    seen = upstream.seen[0]
    assert (seen["path"], seen["body"]["model"], seen["body"]["max_tokens"]) == ("/v1/chat/completions", "small", 20)
    assert seen["headers"]["X-Correlation-ID"] == "ai-1"
    upstream.status = 500
    assert ask(service).status_code == 502
    assert API_KEY not in service.output + answer.text
    assert "everything" not in service.output
    metrics = httpx.get(service.url + "/metrics").text
    assert "nexus_ai_tokens_total 12.0" in metrics
    assert 'nexus_ai_completions_total{result="failed"} 1.0' in metrics


def test_requests_above_the_limit_of_the_minute_are_not_sent(ai, upstream: Upstream):
    if time.time() % 60 > 50:
        time.sleep(60 - time.time() % 60)  # the test must not lie across two minutes
    service = ai(requests_per_minute=2)
    answers = [ask(service) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert len(upstream.seen) == 2


def test_tokens_of_the_day_count_what_was_used_and_not_what_was_feared(ai, upstream: Upstream):
    service = ai(tokens_per_day=60)  # a request is feared to cost 31 and costs 12
    assert [ask(service).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert int(ask(service).headers["retry-after"]) <= 86400
    assert len(upstream.seen) == 3
    too_long = httpx.post(service.url + "/completions", json=ASK | {"max_tokens": 5000})
    assert too_long.status_code == 422


def test_an_upstream_that_keeps_failing_is_left_alone_and_tried_again(ai, upstream: Upstream):
    service = ai(breaker_failures=2, breaker_seconds=1)
    upstream.status = 503
    assert [ask(service).status_code for _ in range(4)] == [502, 502, 503, 503]
    assert len(upstream.seen) == 2
    upstream.status = 200
    time.sleep(1.1)
    assert [ask(service).status_code for _ in range(2)] == [200, 200]


def test_an_upstream_that_hangs_is_given_up(ai, upstream: Upstream):
    service = ai(timeout_seconds=0.3)
    upstream.delay = 1.0
    assert ask(service).status_code == 504


def test_a_rotated_key_is_fetched_from_vault(ai, upstream: Upstream, estate: Estate):
    service = ai()
    assert ask(service).status_code == 200
    upstream.key = "sk-rotated"
    try:
        estate.ask_vault("POST", "secret/data/services/ai/upstream", {"data": {"api_key": "sk-rotated"}})
        assert ask(service).status_code == 200
    finally:
        estate.ask_vault("POST", "secret/data/services/ai/upstream", {"data": {"api_key": API_KEY}})


def test_without_redis_nothing_is_asked(ai, upstream: Upstream, estate: Estate):
    service = ai()
    estate.redis.stop()
    try:
        answer = ask(service)
        assert (answer.status_code, answer.json()["dependency"]) == (503, "redis")
        assert upstream.seen == []
    finally:
        estate.redis.start()
    servers.eventually(lambda: service.status("/ready") == 200, 10, "ready")
