"""The stand-in for Logstash: its language, its plugins, its queue, against a real Elasticsearch."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops import artifacts
from tests.ports import free_port
from tests.standins.process import Process, eventually

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def logstash() -> Path:
    return artifacts.build("logstash-standin", lambda _line: None)


def check(logstash: Path, text: str) -> tuple[int, str]:
    done = subprocess.run([logstash, "-t", "-e", text], capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout


#: The program, a folder of its own, and what is ended after the test.
Make = tuple[Path, Path, list[Process]]


@pytest.fixture
def made(logstash: Path, tmp_path: Path, processes: list[Process]) -> Make:
    return logstash, tmp_path, processes


class Pipeline:
    """A running stand-in with an HTTP input; what its outputs print is read from its log."""

    def __init__(self, made: Make, filters: str, output: str, inputs: str = "") -> None:
        self.port, api = free_port(), free_port()
        binary, folder, processes = made
        text = f'input {{ http {{ port => {self.port} host => "127.0.0.1" }} {inputs} }}'
        text += f" filter {{ {filters} }} output {{ {output} }}"
        (folder / "logstash.yml").write_text(f"queue.type: persisted\nhttp.port: {api}\npath.data: {folder}/data\n")
        argv = [str(binary), "-e", text, "--path.settings", str(folder)]
        self.process = Process(argv, folder, api)
        processes.append(self.process)
        self.process.start("/")

    def send(self, *events: dict[str, Any]) -> None:
        answer = httpx.post(f"http://127.0.0.1:{self.port}", json=list(events), timeout=10)
        assert answer.text == "ok", answer

    def printed(self, count: int) -> list[dict[str, Any]]:
        def lines() -> list[dict[str, Any]]:
            found = [json.loads(line) for line in self.process.log.read_text().splitlines()]
            return [event for event in found if "@version" in event]

        eventually(lambda: len(lines()) >= count)
        return [{k: v for k, v in event.items() if k not in ("headers", "host", "@version")} for event in lines()]


PRINT = "stdout { codec => json_lines }"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("input { http { } }\nfilter { nosuch { } }", "line 2: Couldn't find any filter plugin named 'nosuch'"),
        ("input { http { prt => 1 } }", "line 1: http input: Unknown setting 'prt' for http"),
        (
            "input { http { } }\noutput {\n  stdout { codec -> x }\n}",
            "at line 3, column 18 (byte 46) after   stdout { codec",
        ),
        (
            "input { http { } } filter { grok { match => { m => '%{NOSUCH:x}' } } }",
            "line 1: grok filter: setting 'match'",
        ),
        ("input { http { } } filter { if [a] =~ /(/ { drop { } } }", "/(/ is not a regular expression"),
        ("input { http { port => http } }", "setting 'port' must be a number"),
        ("filter { }", "the configuration has no input"),
    ],
)
def test_a_configuration_that_means_nothing_is_refused_with_its_place(logstash, text, where):
    code, said = check(logstash, text)
    assert code == 1
    assert where in json.loads(said.splitlines()[-1])["message"]


def test_a_setting_that_does_not_exist_is_refused(logstash, tmp_path):
    (tmp_path / "logstash.yml").write_text("queue.tpe: persisted\n")
    argv = [logstash, "-t", "-e", "input { http { } }", "--path.settings", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert '"queue.tpe" doesn\'t exist' in done.stdout


def test_filters_change_events_as_the_originals_do(made):
    filters = """
      if [kind] == "access" {
        grok { match => { "message" => "^%{IP:[source][ip]} %{WORD:method} %{NUMBER:bytes:int}" } }
      } else if [kind] in ["json", "other"] and [level] != "debug" {
        json { source => "message" target => "parsed" }
      } else if ![kind] or [level] == "debug" { drop { } }
      date {
        match => ["stamp", "yyyy-MM-dd HH:mm:ss", "UNIX_MS"]
        timezone => "Europe/Berlin"
        remove_field => ["stamp"]
      }
      mutate {
        rename => { "method" => "[http][method]" }
        gsub => ["message", "secret=\\S+", "secret=***"]
        convert => { "took" => "integer" }
        lowercase => ["[http][method]"]
        add_field => { "index" => "logs-%{+YYYY.MM.dd}-%{kind}" }
        add_tag => ["seen"]
      }
    """
    pipeline = Pipeline(made, filters, PRINT)
    pipeline.send(
        {"kind": "access", "message": "10.0.0.1 GET 42", "stamp": "2026-07-01 12:00:00", "took": "7.9"},
        {"kind": "json", "message": '{"a": {"b": 1}} ', "stamp": "1767225600000"},
        {"kind": "json", "message": "secret=abc no json"},
        {"kind": "json", "level": "debug", "message": "{}"},
        {"message": "without a kind"},
    )
    access, parsed, broken = pipeline.printed(3)
    assert access["source"] == {"ip": "10.0.0.1"} and access["bytes"] == 42 and access["http"] == {"method": "get"}
    assert access["@timestamp"] == "2026-07-01T10:00:00.000Z" and "stamp" not in access
    assert access["index"] == "logs-2026.07.01-access" and access["took"] == 7
    assert parsed["parsed"] == {"a": {"b": 1}} and parsed["@timestamp"] == "2026-01-01T00:00:00.000Z"
    assert broken["tags"] == ["_jsonparsefailure", "seen"] and broken["message"] == "secret=*** no json"
    stats = pipeline.process.client.get("/_node/stats/pipelines/main").json()["pipelines"]["main"]
    assert (stats["events"]["in"], stats["events"]["filtered"], stats["events"]["out"]) == (5, 5, 3)


def test_what_elasticsearch_cannot_take_now_waits_on_disk_also_over_a_kill(made, elastic):
    gate = free_port()
    output = f'elasticsearch {{ hosts => ["127.0.0.1:{gate}"] index => "kept" retry_initial_interval => 1 }}'
    pipeline = Pipeline(made, "", output)
    for number in range(20):
        pipeline.send({"number": number, "size": "x" * 1000})
    pipeline.process.kill()
    with socket.create_server(("127.0.0.1", gate)) as closed:  # takes connections and says nothing good
        closed.settimeout(0.1)
        pipeline.process.start("/")
        eventually(lambda: "will retry" in pipeline.process.log.read_text() or accepted(closed))
    pipeline.process.kill()
    pipeline.process.argv[2] = pipeline.process.argv[2].replace(str(gate), str(elastic.port))
    pipeline.process.start("/")
    found = eventually(lambda: count(elastic, "kept") >= 20)
    assert found
    numbers = [hit["_source"]["number"] for hit in search(elastic, "kept")]
    assert sorted(set(numbers)) == list(range(20))
    assert pipeline.process.stop() == 0


def accepted(server: socket.socket) -> None:
    with contextlib.suppress(TimeoutError):
        server.accept()[0].close()


def search(elastic, index: str) -> list[dict[str, Any]]:
    elastic.client.post(f"/{index}/_refresh")
    return elastic.client.get(f"/{index}/_search", params={"size": 1000}).json().get("hits", {}).get("hits", [])


def count(elastic, index: str) -> int:
    return len(search(elastic, index))


def test_a_document_of_another_type_is_dropped_and_the_others_are_kept(made, elastic):
    output = f'elasticsearch {{ hosts => ["{elastic.url}"] index => "typed-%{{+YYYY}}" document_id => "%{{id}}" }}'
    pipeline = Pipeline(made, "", output)
    year = time.strftime("%Y", time.gmtime())
    pipeline.send({"id": "1", "n": 1})
    eventually(lambda: count(elastic, f"typed-{year}") == 1)
    pipeline.send({"id": "2", "n": "no number"}, {"id": "3", "n": 3}, {"id": "1", "n": 10})
    eventually(
        lambda: {hit["_id"]: hit["_source"]["n"] for hit in search(elastic, f"typed-{year}")} == {"1": 10, "3": 3}
    )
    assert "mapper_parsing_exception" in pipeline.process.log.read_text()


def lumberjack(*events: dict[str, Any], compressed: bool) -> bytes:
    """A window of Beats' protocol, version 2: the number of events, then a JSON frame each."""
    frames = b""
    for number, each in enumerate(events, 1):
        data = json.dumps(each).encode()
        frames += b"2J" + struct.pack(">II", number, len(data)) + data
    if compressed:
        packed = zlib.compress(frames)
        frames = b"2C" + struct.pack(">I", len(packed)) + packed
    return b"2W" + struct.pack(">I", len(events)) + frames


@pytest.mark.parametrize("compressed", [False, True])
def test_a_beat_is_told_that_its_batch_is_kept(made, compressed):
    port = free_port()
    inputs = f'beats {{ port => {port} host => "127.0.0.1" }}'
    pipeline = Pipeline(made, "", PRINT, inputs)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as beat:
        beat.sendall(
            lumberjack({"message": "a", "@metadata": {"beat": "test"}}, {"message": "b"}, compressed=compressed)
        )
        assert beat.recv(6) == b"2A" + struct.pack(">I", 2)
    events = pipeline.printed(2)
    assert [event["message"] for event in events] == ["a", "b"]
    assert events[0]["tags"] == ["beats_input_codec_plain_applied"] and "@metadata" not in events[0]


def test_lines_of_json_are_taken_by_tcp(made):
    port = free_port()
    pipeline = Pipeline(made, "", PRINT, f"tcp {{ port => {port} codec => json_lines }}")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b'{"message":"one"}\n\n{"message":"two"}\nnot json\n')
    assert [event["message"] for event in pipeline.printed(3)] == ["one", "two", "not json"]


def test_a_full_queue_makes_senders_wait(made):
    output = f'elasticsearch {{ hosts => ["127.0.0.1:{free_port()}"] }}'
    pipeline = Pipeline(made, "", output)
    settings = made[1] / "logstash.yml"
    pipeline.process.kill()
    settings.write_text(settings.read_text() + "queue.max_bytes: 64kb\nqueue.page_capacity: 16kb\n")
    pipeline.process.start("/")
    statuses = [
        httpx.post(f"http://127.0.0.1:{pipeline.port}", json={"size": "x" * 20000}, timeout=10).status_code
        for _ in range(6)
    ]
    assert statuses[0] == 200 and statuses[-1] == 429
