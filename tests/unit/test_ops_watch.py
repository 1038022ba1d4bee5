"""`status --watch`: look after look, and what changed between two of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import DockerException

from ops import console, inputs, objects, status, status_table, watch, witnesses
from ops.status import Row

KIBANA = Row("kibana", "platform", "running", "healthy", {}, "nexus/x:1", False, "2026-01-01T00:00:00Z",
             discovery="passing")  # fmt: skip
KONG = replace(KIBANA, name="kong")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"health": "unhealthy", "discovery": "critical"}, "health healthy -> unhealthy, consul passing -> critical"),
        ({"state": "missing", "since": None}, "state running -> missing"),
        ({"gateway": "HEALTHY"}, "gateway - -> healthy"),
        ({"instances": 2}, "instances 1 -> 2"),
        ({"since": "2026-01-01T00:00:09Z"}, "started again"),
    ],
)
def test_what_changed_is_said_of_each_service(now: dict[str, Any], expected: str) -> None:
    assert status_table.differences([KIBANA, KONG], [replace(KIBANA, **now), KONG]) == {"kibana": expected}


def test_the_first_look_and_an_equal_one_change_nothing() -> None:
    assert status_table.differences([], [KIBANA]) == {}
    assert status_table.differences([KIBANA], [KIBANA]) == {}


Rounds = list[list[Row] | Exception]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Rounds], list[float]]]:
    """Lets the verb look so many times, then Ctrl-C is pressed; the pauses between, and one client for all."""

    def looked(rounds: Rounds) -> list[float]:
        left, paused, clients = list(rounds), list[float](), set[int]()

        def look(_: object, client: object) -> list[Row]:
            clients.add(id(client))
            assert len(clients) == 1
            if not left:
                raise KeyboardInterrupt
            found = left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        @contextmanager
        def connect() -> Iterator[object]:
            yield object()

        monkeypatch.setattr(status, "look", look)
        monkeypatch.setattr(objects, "connect", connect)
        monkeypatch.setattr(inputs, "load", lambda stack: SimpleNamespace(stack=stack))
        monkeypatch.setattr(time, "sleep", paused.append)
        return paused

    streams = (console.out, console.err)
    for stream in streams:
        stream.cache_clear()
    yield looked
    for stream in streams:
        stream.cache_clear()


def test_into_a_pipe_each_look_is_below_its_time_with_what_changed_marked(looked: Any, capsys: Any) -> None:
    paused = looked([[KIBANA, KONG], [replace(KIBANA, health="unhealthy"), KONG], [KIBANA, KONG]])
    assert watch.run("dev", every=5) == 0
    _, first, second, third = capsys.readouterr().out.split("--- ")
    assert "2 of 2 healthy" in first and "*" not in first and first[:2] == "20" and first[19] == "Z"
    assert "1 of 2 healthy\n* kibana: health healthy -> unhealthy" in second
    assert next(line.split()[:3] for line in second.splitlines() if "*" in line) == ["*", "kibana", "running"]
    assert "* kibana: health unhealthy -> healthy" in third and "* kong" not in second + third
    assert len(paused) == 3 and all(4 < pause <= 5 for pause in paused)


def test_as_json_each_look_is_the_document_of_status_on_a_line(looked: Any, capsys: Any) -> None:
    looked([[KIBANA], [replace(KIBANA, health="unhealthy")]])
    assert watch.run("dev", every=5, as_json=True) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert documents == [
        status.document("dev", [KIBANA]),
        status.document("dev", [replace(KIBANA, health="unhealthy")]),
    ]


def test_an_engine_that_is_away_is_said_and_looked_for_again(looked: Any, capsys: Any) -> None:
    looked([[KIBANA], DockerException("no socket\nmore"), ConnectionError("refused"), [KIBANA]])
    assert watch.run("dev", every=1) == 0
    told = capsys.readouterr()
    assert told.out.count("1 of 1 healthy") == 2 and "*" not in told.out
    assert "does not answer: no socket\n" in told.err and "does not answer: refused" in told.err


def test_in_a_terminal_the_last_look_stays_with_what_changed(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    from rich.console import Console

    screen = Console(file=StringIO(), force_terminal=True, width=100, height=20)
    monkeypatch.setattr(console, "out", lambda: screen)
    looked([[KIBANA], [replace(KIBANA, health="unhealthy")]])
    assert watch.run("dev", every=1) == 0
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2K" in shown, "a line of the first look was renewed"
    assert "kibana: health healthy -> unhealthy" in shown and "Ctrl-C ends" in shown


def test_a_closed_pipe_ends_it_quietly(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: str) -> None:
        raise BrokenPipeError

    muted: list[bool] = []
    monkeypatch.setattr(console, "write", closed)
    monkeypatch.setattr(console, "mute", lambda: muted.append(True))
    looked([[KIBANA]])
    assert watch.run("dev", every=1) == 0 and muted


def test_a_containers_secret_is_read_once_by_a_client_and_again_after_a_witness_was_silent() -> None:
    read: list[str] = []

    class Containers:
        def __init__(self) -> None:
            self.containers = self

        def get(self, name: str) -> Any:
            return SimpleNamespace(exec_run=lambda command: (read.append(name), (0, b"x"))[1])

    client: Any = Containers()
    for _ in range(2):
        assert witnesses.secret(client, "consul", witnesses.CONSUL_TOKEN) == "x"
    assert read == ["consul"]
    assert witnesses.consul(client, "consul", "http://127.0.0.1:1").silent
    assert witnesses.secret(client, "consul", witnesses.CONSUL_TOKEN) == "x"
    assert read == ["consul", "consul"]
