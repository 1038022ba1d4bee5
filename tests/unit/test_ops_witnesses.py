"""What Consul and the gateway say of a service, asked as `status` asks them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from ops import witnesses
from ops.witnesses import ABSENT, HEALTHY, NOBODY, PASSING, SILENT, Verdicts

READER, PASSWORD = "5f4dcc3b-5aa7-65d6-1d83-27deb882cf99", "correct:horse"
FILES = {
    ("consul", witnesses.CONSUL_TOKEN): json.dumps({"AccessorID": "a", "SecretID": READER}),
    ("kong", witnesses.KONG_PASSWORD): f"nexus:{{PLAIN}}{PASSWORD}\n",
}


class Containers:
    """An engine whose containers hold ``files``, by container and path."""

    def __init__(self, files: dict[tuple[str, str], str] = FILES) -> None:
        self.containers, self._files = self, files

    def get(self, name: str) -> Any:
        if name not in {container for container, _ in self._files}:
            raise NotFound("No such container")

        def exec_run(command: list[str]) -> tuple[int, bytes]:
            text = self._files.get((name, command[-1]))
            assert command[:-1] == ["cat"]
            return (1, b"cat: no such file") if text is None else (0, text.encode())

        return SimpleNamespace(exec_run=exec_run)


@pytest.fixture
def server() -> Iterator[SimpleNamespace]:
    """Answers each path with a status and a document, and keeps the headers it was asked with."""
    told = SimpleNamespace(answers={}, asked={})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked[self.path] = dict(self.headers)
            status, body = told.answers.get(self.path, (404, {"message": "Not found"}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    told.address = f"http://127.0.0.1:{http.server_port}"
    yield told
    http.shutdown()
    http.server_close()


def checked(service: str, status: str, check: str = "health") -> dict[str, str]:
    return {"ServiceName": service, "CheckID": f"{service}-{check}", "Status": status}


def consul(server: SimpleNamespace, engine: Any = None) -> Verdicts:
    return witnesses.consul(engine or Containers(), "consul", server.address)


def gateway(server: SimpleNamespace, *services: str, engine: Any = None) -> Verdicts:
    return witnesses.gateway(engine or Containers(), "kong", server.address, services)


def test_consul_is_asked_with_the_token_that_only_reads_and_says_the_worst_of_all_instances(server) -> None:
    server.answers["/v1/health/state/any"] = (200, [
        checked("search", PASSING), checked("search", "critical"),
        checked("files", PASSING), checked("files", PASSING),
        checked("ai", "warning"),
        {"ServiceName": "", "CheckID": "serfHealth", "Status": PASSING},
    ])  # fmt: skip
    said = consul(server)
    assert {name: said.of(name) for name in ("search", "files", "ai", "consul", "audit")} == {
        "search": "critical", "files": PASSING, "ai": "warning", "consul": PASSING, "audit": ABSENT,
    }  # fmt: skip
    assert server.asked["/v1/health/state/any"]["X-Consul-Token"] == READER


def test_the_gateway_is_asked_with_its_own_password_and_says_the_worst_of_all_targets(server) -> None:
    def targets(*states: str) -> tuple[int, dict[str, Any]]:
        return 200, {"data": [{"health": state} for state in states]}

    server.answers["/upstreams/search.upstream/health"] = targets(HEALTHY, "UNHEALTHY")
    server.answers["/upstreams/files.upstream/health"] = targets(HEALTHY)
    server.answers["/upstreams/ai.upstream/health"] = targets()
    said = gateway(server, "search", "files", "ai", "audit")
    assert said.by_service == {"search": "UNHEALTHY", "files": HEALTHY, "ai": ABSENT, "audit": ABSENT}
    login = base64.b64encode(f"nexus:{PASSWORD}".encode()).decode()
    assert server.asked["/upstreams/files.upstream/health"]["Authorization"] == f"Basic {login}"


@pytest.mark.parametrize("body", [b"not json", b"{}", b'[{"Status": "passing"}]'])
def test_an_answer_that_is_none_is_a_witness_that_says_nothing(server, body) -> None:
    server.answers["/v1/health/state/any"] = (200, body)
    server.answers["/upstreams/files.upstream/health"] = (200, body)
    for said in (consul(server), gateway(server, "files")):
        assert said.of("files") in (SILENT, ABSENT)
        assert not witnesses.agrees(said.of("files"), PASSING)


def test_a_refusal_or_nobody_there_makes_the_witness_silent_and_not_the_caller_fail(server) -> None:
    server.answers["/v1/health/state/any"] = (403, {})
    refused = consul(server)
    assert refused.of("files") == SILENT and "403" in refused.silent
    away = SimpleNamespace(address="http://127.0.0.1:1")
    assert consul(away).of("files") == gateway(away, "files").of("files") == SILENT


@pytest.mark.parametrize("held", [{}, {("consul", "/other"): "", ("kong", "/other"): ""}])
def test_a_container_without_the_secret_makes_the_witness_silent(server, held) -> None:
    engine = Containers(held)
    assert consul(server, engine).of("files") == gateway(server, "files", engine=engine).of("files") == SILENT
    assert server.asked == {}, "nobody is asked without a login"


def test_an_engine_that_refuses_makes_the_witness_silent(server) -> None:
    class Refusing(Containers):
        def get(self, name: str) -> Any:
            raise APIError("container is not running")

    assert witnesses.CONSUL_TOKEN in consul(server, Refusing()).silent


def test_only_all_instances_well_is_well_and_none_at_all_is_absent() -> None:
    assert witnesses.worst({PASSING}, PASSING) == PASSING
    assert witnesses.worst({PASSING, "critical", "warning"}, PASSING) == "critical"
    assert witnesses.worst(set(), PASSING) == ABSENT


def test_a_witness_that_is_not_there_has_nothing_against_anybody() -> None:
    assert NOBODY.of("files") is None and witnesses.agrees(None, PASSING)
    assert witnesses.agrees(PASSING, PASSING)
    for verdict in (SILENT, ABSENT, "critical"):
        assert not witnesses.agrees(verdict, PASSING)
