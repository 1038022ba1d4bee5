"""What operators look with: logs, traces, pages and the watched status, as one platform answers them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ops.errors import BAD_INPUT, FAILED
from tests.e2e.whole.platform import Platform, eventually

pytestmark = pytest.mark.e2e
#: Seconds until an event has been through RabbitMQ and both of its consumers have said so.
ARRIVAL = 10
#: Seconds until a line of a new container is shown to who follows.
SHOWN = 30


@pytest.fixture(scope="module")
def correlation(platform: Platform) -> str:
    """The id of an event that was sent through the gateway and has arrived everywhere."""
    identity = f"tests-{uuid4()}"
    event = {
        "type": "order.placed", "source": "tests", "occurred_at": "2026-01-01T10:00:00+02:00",
        "payload": {"order_id": "7", "amount": 12.5, "currency": "eur"},
    }  # fmt: skip
    sent = platform.ask("ann", "POST", "/api/v1/events/", json=event, headers={"X-Correlation-ID": identity})
    assert sent.status_code == 202, sent.text

    def audited() -> list[str]:
        entries = platform.ask("olga", "GET", "/api/v1/audit/entries?limit=100").json()
        return sorted(one["key"] for one in entries if one["correlation_id"] == identity)

    eventually(lambda: audited() == ["event.received", "event.stored"], ARRIVAL)
    return identity


@contextmanager
def running(platform: Platform, verb: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A verb that goes on until Ctrl-C, with its output as a pipe."""
    command = [str(platform.root / "nexus"), verb, platform.stack, *arguments]
    process = subprocess.Popen(
        command, cwd=platform.root, env=platform.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and the rest of the output after Ctrl-C."""
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    return process.returncode, rest


def test_the_lines_of_a_request_are_found_by_its_id_in_all_logs(platform: Platform, correlation: str) -> None:
    done = platform.nexus("logs", "--since", "10m", "--grep", correlation, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"kong", "events", "transform", "audit"} <= {line["service"] for line in lines}
    assert all(correlation in json.dumps(line) for line in lines)
    assert [line["timestamp"][:19] for line in lines] == sorted(line["timestamp"][:19] for line in lines)

    only = platform.nexus("logs", "transform", "--since", "10m", "--grep", correlation)
    assert only.returncode == 0 and len(only.stdout.splitlines()) == 1
    assert "message event.received done" in only.stdout and f"correlation_id={correlation}" in only.stdout


def test_a_trace_leads_from_the_gateway_over_the_service_to_the_consumers(platform: Platform, correlation: str) -> None:
    done = platform.nexus("trace", correlation, "--json")
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    services = [one["service"] for one in steps]
    assert services[0] == "kong" and services.index("events") < services.index("transform")
    by_service = {one["service"]: one for one in steps}
    assert by_service["kong"]["what"] == "POST /api/v1/events/ 202"
    assert by_service["events"]["details"]["status"] == 202
    assert by_service["transform"]["details"]["key"] == "event.received"
    assert {one["details"].get("key") for one in steps if one["service"] == "audit"} == {
        "event.received", "event.stored",
    }  # fmt: skip
    assert by_service["kong"]["duration_ms"] > by_service["events"]["duration_ms"] > 0
    shown = platform.nexus("trace", correlation)
    assert shown.returncode == 0 and "kong -> events" in shown.stdout and "event.stored done" in shown.stdout


def test_an_id_that_nothing_has_and_one_that_is_none_are_told_apart(platform: Platform) -> None:
    unknown, wrong = platform.nexus("trace", f"tests-{uuid4()}"), platform.nexus("trace", "two words")
    assert unknown.returncode == FAILED and "looked since" in unknown.stderr and "transform" in unknown.stderr
    assert wrong.returncode == BAD_INPUT and "no correlation id" in wrong.stderr


def test_an_unknown_service_is_refused_with_the_name_that_was_meant(platform: Platform) -> None:
    done = platform.nexus("logs", "transfrom")
    assert done.returncode == BAD_INPUT and "did you mean transform" in done.stderr


def test_logs_are_followed_over_the_restart_of_a_container(platform: Platform) -> None:
    with running(platform, "logs", "reports", "--follow", "--json", "--tail", "1") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["service"] == "reports"
        platform.container("reports").restart()
        identity = f"tests-{uuid4()}"

        def answered() -> bool:
            headers = {"X-Correlation-ID": identity}
            return platform.ask("ann", "GET", "/api/v1/reports/whoami", headers=headers).status_code == 200

        eventually(answered, 60)
        lines, deadline = list[dict[str, Any]](), time.monotonic() + SHOWN
        while not any(line.get("correlation_id") == identity for line in lines):
            assert time.monotonic() < deadline, lines
            lines.append(json.loads(process.stdout.readline()))
        assert [line["message"] for line in lines].count("stopped") == 1
        assert "started" in [line["message"] for line in lines]
        assert interrupted(process)[0] == 0
    eventually(lambda: "reports" in platform.well(), 60)


def test_a_reader_that_closes_the_pipe_ends_it_quietly(platform: Platform) -> None:
    script = f"set -o pipefail; ./nexus logs {platform.stack} --since 1h | head -1"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=platform.root, env=platform.variables, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")


def test_the_watched_status_says_what_changed_and_ends_with_ctrl_c(platform: Platform) -> None:
    eventually(lambda: len(platform.well()) == 32, 90)
    with running(platform, "status", "--watch", "--every", "1", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["total"] == 32
        code, _ = interrupted(process)
        assert code == 0
    with running(platform, "status", "--watch", "--every", "1") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert next(lines).startswith("--- ")
        while "of 32 healthy" not in next(lines):
            pass
        platform.container("reports").restart()
        assert any(line.startswith("* reports: ") for line in lines)
        assert interrupted(process)[0] == 0
    eventually(lambda: "reports" in platform.well(), 60)


@pytest.mark.parametrize("service", ["docs", "grafana", "kibana", "prometheus", "rabbitmq", "consul", "vault", "files"])
def test_a_page_that_is_named_answers_there_and_no_password_is_shown(platform: Platform, service: str) -> None:
    done = platform.nexus("open", service)
    assert done.returncode == 0, done.stderr
    address = done.stdout.strip()
    answer = httpx.get(address, verify=platform.trust, timeout=15, trust_env=False, follow_redirects=True)
    assert answer.status_code == 200, f"{address}: {answer.text[:200]}"
    passwords = platform.outputs["passwords"].values()
    assert not any(password in done.stdout + done.stderr for password in passwords)
