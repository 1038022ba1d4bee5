"""`trace` on an engine's answers, without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from infra import catalog
from infra.settings import Settings
from ops import console, inputs, objects, trace
from ops.errors import BAD_INPUT, FAILED, Failure
from ops.inputs import Inputs
from ops.paths import ROOT
from tests.unit.engine_logs import Engine, moment, said, written

ID = "6f1c0e9a-7d0b-4a35-9d5b-0c6f1b1d2a77"
SCHEMA = json.loads((ROOT / "docs/schemas/trace.schema.json").read_text())


def through_gateway(began: float, seconds: float, identity: str = ID, **fields: Any) -> bytes:
    """A line of the gateway's access log."""
    line = {"time": moment(began)[:23] + "Z", "method": "POST", "uri": "/api/v1/events/?code=s3cret", "status": 202}
    line |= {"seconds": seconds, "service": "events", "consumer": "role-user", "extra": {"correlation_id": identity}}
    return written(began + seconds, json.dumps(line | fields, separators=(",", ":")))


def event() -> Engine:
    """An engine with the logs of an event's way, and of other requests."""
    access = {"method": "POST", "path": "/", "route": "/", "status": 202, "client": "172.18.0.9"}
    handled = {"key": "event.received", "message_id": "m1", "correlation_id": ID}
    return Engine(
        {
            "audit": [
                said(1.030, "message event.received done", "audit", duration_ms=6.0, **handled),
                said(1.045, "message event.stored done", "audit", duration_ms=5, **handled | {"key": "event.stored"}),
            ],
            "transform": [
                said(1.028, "redis is away", "transform", level="warning", correlation_id=ID),
                said(1.035, "message event.received done", "transform", duration_ms=12.0, **handled),
            ],
            "events": [
                said(1.016, "POST / 202", duration_ms=15.2, correlation_id=ID, **access),
                said(1.017, "GET /x 200", correlation_id="another"),
                said(1.018, f"about {ID}"),
            ],
            "kong": [through_gateway(1.001, 0.0172), through_gateway(1.002, 0.1, "another")],
            "postgres": [written(1.02, f"statement about {ID}")],
        }
    )


Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run the verb on an engine; what it prints."""
    settings = Settings()
    monkeypatch.setattr(inputs, "load", lambda _: Inputs("dev", settings, catalog.load(settings, "dev")))

    def run(engine: Engine, identity: str = ID, **options: Any) -> str:
        monkeypatch.setattr(objects, "connect", lambda **_: engine)
        assert trace.run("dev", identity, **{"since": "2026-01-01T11:00:00Z", **options}) == 0
        return capsys.readouterr().out

    for stream in (console.out, console.err):
        stream.cache_clear()
    yield run
    for stream in (console.out, console.err):
        stream.cache_clear()


def test_the_way_of_an_event_is_in_the_order_in_which_its_steps_began(run: Run) -> None:
    lines = run(event()).splitlines()
    assert [line.split(maxsplit=2)[2].rstrip() for line in lines[1:7]] == [
        "kong       17.2 ms  POST /api/v1/events/ 202",
        "events     15.2 ms  POST / 202",
        "transform  12.0 ms  message event.received done",
        "audit       6.0 ms  message event.received done",
        "transform        -  redis is away",
        "audit       5.0 ms  message event.stored done",
    ]
    assert [line.split()[0] for line in lines[1:7]] == ["+0", "+0", "+22", "+23", "+27", "+39"]
    assert lines[-1] == "6 steps in 44 ms: kong -> events -> transform -> audit"


def test_what_the_gateway_could_not_pass_on_is_there_with_the_reason(run: Run) -> None:
    extra = {"correlation_id": ID, "error": "failure to get a peer from the ring-balancer"}
    engine = Engine({"kong": [through_gateway(1, 0.001, status=503, extra=extra)]})
    shown = run(engine)
    assert "POST /api/v1/events/ 503: failure to get a peer" in shown and "1 step in 1 ms: kong" in shown


def test_a_query_is_not_shown_as_it_may_have_a_code_in_it(run: Run) -> None:
    assert "s3cret" not in run(event()) + run(event(), as_json=True)


def test_the_document_follows_the_published_schema(run: Run) -> None:
    document = json.loads(run(event(), as_json=True))
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    assert document["looked"] == ["audit", "events", "kong", "transform"]
    first, *_, last = document["steps"]
    assert (first["service"], first["offset_ms"], first["duration_ms"]) == ("kong", 0, 17.2)
    assert first["details"] == {"method": "POST", "path": "/api/v1/events/", "status": 202, "consumer": "role-user"}
    assert last["details"] == {"key": "event.stored", "message_id": "m1"} and last["began"].endswith("12:00:01.040Z")


def test_within_the_clocks_millisecond_the_gateway_comes_first(run: Run) -> None:
    engine = Engine({"kong": [through_gateway(1.0009, 0.0008)]})
    engine.kept["events"] = [said(1.0005, "GET / 200", duration_ms=0.3, correlation_id=ID)]
    engine.listed += Engine({"events": []}).listed
    steps = json.loads(run(engine, as_json=True))["steps"]
    assert [(one["service"], one["offset_ms"]) for one in steps] == [("kong", 0), ("events", 0)]


def test_a_line_that_is_no_object_counts_when_it_has_the_whole_id(run: Run) -> None:
    nginx = '172.18.0.1 - - "GET /api/v1/x HTTP/2.0" 200 12'
    engine = Engine(
        {"kong": [written(1, f"{nginx} {ID}"), written(2, f"{nginx} {ID}-2"), written(3, f"{nginx} x{ID}")]}
    )
    (step,) = json.loads(run(engine, as_json=True))["steps"]
    assert (step["what"], step["duration_ms"]) == (f"{nginx} {ID}", None)


def test_a_way_that_does_not_begin_at_the_gateway_says_why(run: Run, capsys: Any) -> None:
    engine = event()
    engine.kept["kong"] = [written(1, "something else")]
    run(engine)
    trace.run("dev", ID, since="2026-01-01T11:00:00Z")
    assert "no line of kong" in capsys.readouterr().err


@pytest.mark.parametrize("identity", ["", "a b", "x" * 129, "a\n", "$(id)", "é"])
def test_what_is_no_id_is_refused_before_anything_is_asked(identity: str) -> None:
    with pytest.raises(Failure, match="no correlation id") as refused:
        trace.run("dev", identity)
    assert refused.value.code == BAD_INPUT and repr(identity) in refused.value.what


def test_an_unknown_id_says_where_was_looked_and_since_when(run: Run) -> None:
    with pytest.raises(Failure, match="no log of dev has") as unknown:
        run(event(), "0000")
    assert unknown.value.code == FAILED
    assert unknown.value.why == "looked since 2026-01-01T11:00:00Z in: audit, events, kong, transform"
    assert "--since" in unknown.value.remedy


def test_a_stack_that_is_not_up_is_said(run: Run) -> None:
    with pytest.raises(Failure, match="dev is not up"):
        run(Engine())


@pytest.mark.parametrize("stamp", ["yesterday", "2026-01-01T12:00:00"])
def test_a_time_that_cannot_be_read_is_that_of_the_engine(run: Run, stamp: str) -> None:
    line = {"timestamp": stamp, "level": "info", "service": "x", "message": "hello", "correlation_id": ID}
    engine = Engine({"events": [written(1.5, json.dumps(line))]})
    (step,) = json.loads(run(engine, as_json=True))["steps"]
    assert step["began"] == "2026-01-01T12:00:01.500Z"
