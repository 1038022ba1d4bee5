"""`logs` on an engine's answers, without one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra import catalog
from infra.settings import Settings
from ops import console, inputs, log_follow, log_sources, logs, objects
from ops.errors import BAD_INPUT, MACHINE, Failure
from ops.inputs import Inputs
from ops.log_follow import Follower
from ops.log_lines import Line
from tests.unit.engine_logs import END, Engine, item, moment, said, written


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings = Settings()
    monkeypatch.setattr(inputs, "load", lambda _: Inputs("dev", settings, catalog.load(settings, "dev")))
    console.out.cache_clear()
    console.err.cache_clear()
    yield
    console.out.cache_clear()
    console.err.cache_clear()


Run = Callable[..., list[str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the verb on an engine; the lines that it prints."""

    def run(engine: Engine, *services: str, **options: Any) -> list[str]:
        monkeypatch.setattr(objects, "connect", lambda **_: engine)
        assert logs.run("dev", services, **options) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_lines_of_all_containers_are_merged_by_time_and_say_whose_they_are(run: Run) -> None:
    engine = Engine({"redis": [written(1, "a"), written(4, "d")], "nexus-backend": [written(2, "b")]})
    engine.kept["nexus-backend-2"] = [written(3, "c")]
    engine.listed.append(item("nexus-backend-2", "nexus-backend"))
    assert [line.split()[1:] for line in run(engine)] == [
        ["redis", "a"], ["nexus-backend", "b"], ["nexus-backend-2", "c"], ["redis", "d"],
    ]  # fmt: skip
    assert [line.split()[1] for line in run(engine, "nexus-backend")] == ["nexus-backend", "nexus-backend-2"]


def test_a_helper_can_be_named_and_a_service_without_a_container_is_said(run: Run, capsys: Any) -> None:
    engine = Engine({"pgbouncer": [written(1, "a")]})
    assert len(run(engine, "pgbouncer")) == 1
    assert logs.run("dev", ["kibana", "pgbouncer"]) == 0
    told = capsys.readouterr()
    assert "kibana has no container" in told.err and "pgbouncer" in told.out


def test_an_unknown_service_is_refused_with_the_nearest_names(run: Run) -> None:
    with pytest.raises(Failure, match="no service 'pgbuncer'") as refused:
        run(Engine({"pgbouncer": []}), "pgbuncer")
    assert refused.value.code == BAD_INPUT and "pgbouncer" in refused.value.remedy


def test_a_stack_that_is_not_up_has_no_logs(run: Run) -> None:
    with pytest.raises(Failure, match="dev is not up") as refused:
        run(Engine())
    assert "./nexus up dev" in refused.value.remedy


def test_by_default_the_last_hundred_lines_are_shown_and_the_engine_is_asked_for_no_more(run: Run) -> None:
    engine = Engine({"redis": [written(n / 10, f"r{n}") for n in range(200)], "vault": [written(19.95, "v")]})
    shown = run(engine)
    assert len(shown) == 100 and [line.split()[2] for line in shown[-2:]] == ["r199", "v"]
    assert {asked["tail"] for asked in engine.asked} == {100}


def test_the_last_lines_are_those_of_all_that_match(run: Run) -> None:
    engine = Engine({"redis": [written(n, "odd" if n % 2 else "even") for n in range(9)]})
    assert [line.split()[0][17:19] for line in run(engine, grep="odd", tail=2)] == ["05", "07"]
    assert engine.asked[0]["tail"] == "all"


def test_since_a_moment_all_lines_are_shown_to_the_part_of_a_second(run: Run) -> None:
    engine = Engine({"redis": [written(n / 100, f"r{n}") for n in range(300)]})
    shown = run(engine, since="2026-01-01T12:00:01.5Z")
    assert len(shown) == 149 and shown[0].endswith("r151")
    assert engine.asked[0]["since"] == 1767268801 and engine.asked[0]["tail"] == "all"


def test_only_lines_that_are_loud_enough_are_shown(run: Run) -> None:
    frames = [said(1, "a"), said(2, "b", level="error"), written(3, "[WARN] c"), written(4, "d")]
    assert [line[-1] for line in run(Engine({"events": frames}), level="warning")] == ["b", "c"]
    assert len(run(Engine({"events": frames}), level="info")) == 4


def test_as_json_each_line_is_an_object(run: Run) -> None:
    frames = [said(1, "a", correlation_id="x"), written(2, "[WARN] c")]
    shown = [json.loads(line) for line in run(Engine({"events": frames}), as_json=True)]
    assert [one["message"] for one in shown] == ["a", "[WARN] c"] and shown[0]["correlation_id"] == "x"


def test_a_reader_that_has_seen_enough_ends_it_quietly(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    muted: list[bool] = []

    def closed(_: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(objects, "connect", lambda **_: Engine({"redis": [written(1, "a")]}))
    monkeypatch.setattr(console, "write", closed)
    monkeypatch.setattr(console, "mute", lambda: muted.append(True))
    assert logs.run("dev", []) == 0
    assert muted and capsys.readouterr().err == ""


@pytest.mark.parametrize("follow", [True, False])
def test_ctrl_c_is_how_following_ends_and_interrupts_all_else(monkeypatch: pytest.MonkeyPatch, follow: bool) -> None:
    def pressed(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(objects, "connect", lambda **_: Engine({"redis": [written(1, "a")]}))
    monkeypatch.setattr(console, "write", pressed)
    if follow:
        assert logs.run("dev", [], follow=True) == 0
    else:
        with pytest.raises(KeyboardInterrupt):
            logs.run("dev", [])


def test_a_line_that_comes_in_parts_is_one_line_again() -> None:
    frames = [written(1, "a" * 9)[:-1], written(1, "b" * 9)[:-1], written(1, "c"), written(2, "d"), b"no end"]
    assert list(log_sources.whole(frames)) == [
        f"{moment(1)} {'a' * 9}{'b' * 9}c", f"{moment(2)} d", "no end",
    ]  # fmt: skip


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert list(log_sources.whole([moment(1).encode() + b" \xff\n"])) == [f"{moment(1)} \ufffd"]


def test_what_is_gone_or_cannot_be_read_has_no_lines_and_the_others_are_shown(run: Run, capsys: Any) -> None:
    engine = Engine({"redis": [written(1, "a")], "vault": []})
    engine.listed.append(item("kibana"))
    engine.unreadable = {"vault"}
    assert len(run(engine)) == 1
    assert logs.run("dev", []) == 0
    assert "vault: its log cannot be read: driver does not read" in capsys.readouterr().err


def test_a_service_of_a_swarm_is_read_by_the_swarm_and_its_tasks_here_are_not_read_again(run: Run) -> None:
    engine = Engine(services={"redis": [written(3, "of another node"), written(1, "a")]})
    task = {"com.docker.swarm.task": ""}
    engine.listed = [item("redis.1.xyz", "redis", **task), item("redis-relay")]
    engine.kept = {"redis-relay": [written(2, "b")], "redis.1.xyz": [written(1, "a")]}
    assert [line.split()[1:] for line in run(engine)] == [
        ["redis", "a"], ["redis-relay", "b"], ["redis", "of", "another", "node"],
    ]  # fmt: skip


class Followed:
    """A follower whose lines are taken one by one, with a limit to the waiting."""

    def __init__(self, engine: Engine, seen: dict[str, str] | None = None, wanted: Any = lambda _: True) -> None:
        follower = Follower(engine, "dev", wanted, seen if seen is not None else {})  # type: ignore[arg-type]
        self._lines = follower.lines(log_sources.find(engine, "dev"), 1767268800.9)  # type: ignore[arg-type]

    def next(self, count: int) -> list[str]:
        """The texts of the next lines."""
        found: list[Line | BaseException] = []

        def take() -> None:
            try:
                found.extend(next(self._lines) for _ in range(count))
            except (Failure, StopIteration) as error:
                found.append(error)

        taker = threading.Thread(target=take, daemon=True)
        taker.start()
        taker.join(10)
        assert not taker.is_alive(), found
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return [one.text for one in found if isinstance(one, Line)]


def test_lines_that_come_together_are_put_in_order() -> None:
    engine = Engine({"redis": [], "vault": []})
    followed = Followed(engine)
    engine.later["redis"].put(written(2, "b"))
    engine.later["vault"].put(written(1, "a"))
    assert followed.next(2) == ["a", "b"]


def test_a_line_that_comes_a_little_late_is_still_put_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follow, "SETTLE", 1.0)
    engine = Engine({"redis": [written(0, "begun")], "vault": []})
    followed = Followed(engine)
    assert followed.next(1) == ["begun"]
    for second, pause in ((1, 0.7), (3, 0.4)):  # the first is due before the late one comes, the second is not
        engine.later["redis"].put(written(second, f"redis {second}"))
        time.sleep(pause)
    engine.later["vault"].put(written(2, "vault 2"))
    assert followed.next(3) == ["redis 1", "vault 2", "redis 3"]


def test_following_goes_on_where_the_past_ended() -> None:
    engine = Engine({"redis": [written(1.5, "a"), written(1.6, "b")]})
    assert Followed(engine, {"redis": moment(1.5)}).next(1) == ["b"]
    assert engine.asked[0]["since"] == 1767268801


def test_a_container_that_starts_again_is_followed_again_and_no_line_comes_twice() -> None:
    engine = Engine({"redis": [written(1, "a")]})
    followed = Followed(engine)
    assert followed.next(1) == ["a"]
    engine.start("redis")
    time.sleep(0.2)  # so it is heard before the end of the last run is read
    engine.later["redis"].put(written(2, "b"))
    engine.later["redis"].put(END)
    assert followed.next(1) == ["b"]
    engine.later["redis"].put(written(3, "c"))
    assert followed.next(1) == ["c"]
    assert engine.most == 1


def test_a_new_container_is_picked_up_with_all_that_it_wrote() -> None:
    engine = Engine({"redis": []})
    followed = Followed(engine)
    engine.kept["nexus-backend-2"] = [written(1, "early")]
    engine.start("nexus-backend-2", service="nexus-backend")
    assert followed.next(1) == ["early"]
    engine.later["nexus-backend-2"].put(written(2, "b"))
    assert followed.next(1) == ["b"]
    (events,) = [asked["events"] for asked in engine.asked if "events" in asked]
    assert events["since"] == 1767268800, "what started before its events were asked for is told, too"


def test_what_is_of_another_stack_or_another_service_is_not_picked_up() -> None:
    engine = Engine({"redis": []})
    followed = Followed(engine, wanted=lambda source: source.service in ("redis", "kong"))
    engine.start("kong", stack="dev-2")
    engine.start("vault")
    engine.start("kong.1.xyz", service="kong", **{"com.docker.swarm.task": ""})
    engine.kept |= {name: [written(1, name)] for name in ("kong", "vault", "kong.1.xyz")}
    engine.start("redis-2", service="redis")
    engine.later["redis-2"].put(written(9, "mine"))
    assert followed.next(1) == ["mine"]
    assert {asked["id"] for asked in engine.asked if "id" in asked} == {"redis", "redis-2"}


def test_a_new_service_of_the_swarm_is_picked_up_and_one_that_is_gone_again_is_not() -> None:
    engine = Engine({"redis": []})
    followed = Followed(engine)
    engine.of_services["kong"] = [written(1, "hello")]
    for name in ("gone", "kong"):
        engine.happening.put({"Type": "service", "Action": "create", "Actor": {"ID": name}})
    assert followed.next(1) == ["hello"]


def test_when_the_engine_goes_away_following_ends_after_what_it_still_gave() -> None:
    engine = Engine({"redis": []})
    followed = Followed(engine)
    engine.later["redis"].put(written(1, "last"))
    assert followed.next(1) == ["last"]
    engine.happening.put(END)
    with pytest.raises(Failure, match="engine went away") as ended:
        followed.next(1)
    assert ended.value.code == MACHINE
