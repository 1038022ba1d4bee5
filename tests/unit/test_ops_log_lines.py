"""A line of a log, as it is read and shown; and since when."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ops import log_lines, since
from ops.errors import BAD_INPUT, Failure
from ops.log_lines import Line
from tests.unit import engine_logs

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def line(text: str | bytes, service: str = "events", source: str = "") -> Line:
    moment, _, said = (text.decode() if isinstance(text, bytes) else f"{engine_logs.moment(1)} {text}").partition(" ")
    return Line(moment, service, source or service, said.rstrip("\n"))


def shown(of: Line, width: int = 0) -> str:
    return "".join(text for text, _ in log_lines.parts(of, width))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "2026-01-31T11:58:30.000000000Z"),
        ("2h", "2026-01-31T10:00:00.000000000Z"),
        ("1h30m", "2026-01-31T10:30:00.000000000Z"),
        ("2d", "2026-01-29T12:00:00.000000000Z"),
        ("2026-01-31T12:00:00.25+01:00", "2026-01-31T11:00:00.250000000Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000000Z"),
    ],
)
def test_since_is_a_span_or_a_moment(text: str, expected: str) -> None:
    assert since.stamp(since.moment(text, NOW)) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "10 m", "yesterday", "m", "-5m", "2026-01-31T12:00:00", "9" * 20 + "d", "999999d"]
)
def test_since_refuses_what_is_neither_and_says_how_it_is_written(text: str) -> None:
    with pytest.raises(Failure) as refused:
        since.moment(text, NOW)
    assert refused.value.code == BAD_INPUT and repr(text) in refused.value.what
    assert "10m" in refused.value.remedy


def test_a_moment_survives_being_written_and_read() -> None:
    assert since.read(since.stamp(NOW)) == NOW
    assert since.read("2026-01-31T12:00:00.123456789Z").microsecond == 123456
    assert since.read("2026-01-31T12:00:00Z") == NOW


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('{"level": "warning", "message": "x"}', "warning"),
        ('{"@level":"ERROR"}', "error"),
        ('{"time":"t","level":"WARN","msg":"x"}', "warning"),
        ('{"level": "loud"}', "info"),
        ('{"level": ["error"], "half": ', "info"),
        ("2026-01-01T12:00:00.299Z [INFO]  agent: an error: none", "info"),
        ("2026-01-01T12:00:00.299Z [WARN]  agent: slow", "warning"),
        ("time=2026-01-01T12:00:00Z level=ERROR msg=gone", "error"),
        ("[2026-01-01T12:00:00,123][WARN ][o.e.n.Node] slow", "warning"),
        ("2026-01-01 12:00:00.926 UTC [107] kong@kong FATAL:  password authentication failed", "critical"),
        ("2026-01-01 12:00:00.205 UTC [1] LOG listening on 0.0.0.0:6432", "info"),
        ("there was an error: the message of a client", "info"),
        ("x" * 200 + " FATAL: later", "info"),
    ],
)  # fmt: skip
def test_the_level_is_what_the_server_calls_it_or_info(text: str, level: str) -> None:
    assert line(text).level == level


def test_a_line_of_a_service_is_read_out_with_its_other_fields_and_no_more_than_once() -> None:
    one = line(
        engine_logs.said(2.5, "GET /x 200", method="GET", path="/x", status=200, duration_ms=1.5, correlation_id="abc"),
        source="events-2",
    )
    assert shown(one, 9) == "2026-01-01T12:00:02.500Z events-2  info    GET /x 200 duration_ms=1.5 correlation_id=abc"


def test_a_line_of_another_server_is_as_it_was_written() -> None:
    text = '{"time":"t","service":"auth","uri":"/"}'
    assert shown(line(text, "kong")) == f"2026-01-01T12:00:01.000Z kong {text}"


def test_a_traceback_is_below_its_line() -> None:
    one = line(engine_logs.said(1, "request failed", exc_info="Traceback\n  File"))
    assert shown(one).endswith("info    request failed\n    Traceback\n      File")


def test_what_a_client_sent_cannot_steer_a_terminal_or_look_like_another_line() -> None:
    one = line(engine_logs.said(1, "GET /\x1b[2J\x9b\n2026-01-01T12:00:09.000Z vault all is well", user="a\x07b"))
    assert "\x1b" not in shown(one) and "\x9b" not in shown(one) and "\x07" not in shown(one)
    assert "\\x1b[2J\\x9b" in shown(one) and "user=a\\x07b" in shown(one)
    assert shown(one).splitlines()[1].startswith("    2026")
    assert "\\x1b[31m" in shown(line("\x1b[31mred", "redis"))


def test_as_json_each_line_has_the_fields_of_the_project() -> None:
    own = line(engine_logs.said(1, "x"))
    assert log_lines.as_json(own) == own.text
    for other in (line("[WARN] café", "consul"), line('{"service": "auth"}', "kong")):
        document = json.loads(log_lines.as_json(other))
        assert (document["service"], document["message"]) == (other.service, other.text)
        assert list(document) == list(log_lines.OURS) and document["timestamp"] == other.moment
    assert json.loads(log_lines.as_json(line("[WARN] x", "consul")))["level"] == "warning"


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ('{"correlation_id": "abc"}', "abc"),
        ('{"uri": "/", "extra": {"correlation_id": "abc"}}', "abc"),
        ('{"extra": "abc"}', ""),
        ("abc", ""),
        ("[1]", ""),
    ],
)
def test_the_id_of_a_line_is_its_own_or_that_of_the_gateways_plugins(text: str, identity: str) -> None:
    assert line(text).correlation_id == identity


def test_a_text_is_found_as_it_was_written_and_as_it_is_read() -> None:
    one = line(json.dumps({"message": "café"}))
    assert one.has("café") and one.has("caf\\u00e9") and one.has("") and not one.has("tea")
