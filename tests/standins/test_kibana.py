"""The stand-in for Kibana: saved objects, index patterns and searches, against a real Elasticsearch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops import artifacts
from tests.ports import free_port
from tests.standins.process import Process, eventually

pytestmark = pytest.mark.engine
HEADERS = {"kbn-xsrf": "test"}


@pytest.fixture(scope="session")
def binary() -> Path:
    return artifacts.build("kibana-standin", lambda _line: None)


def start(binary: Path, folder: Path, elastic: str, processes: list[Process]) -> httpx.Client:
    port = free_port()
    settings = {"ELASTICSEARCH_HOSTS": elastic, "SERVER_PORT": str(port), "SERVER_HOST": "127.0.0.1"}
    process = Process([str(binary)], folder, port, settings)
    processes.append(process)
    process.start("/api/status")
    process.client.headers.update(HEADERS)
    return process.client


@pytest.fixture
def kibana(binary, tmp_path, elastic, processes) -> httpx.Client:
    client = start(binary, tmp_path, elastic.url, processes)
    eventually(lambda: client.get("/api/status").status_code == 200)
    return client


def test_it_is_green_only_with_an_elasticsearch(binary, tmp_path, processes, kibana):
    said = kibana.get("/api/status").json()
    assert (said["status"]["overall"]["state"], said["version"]["number"]) == ("green", "7.17.29")
    (tmp_path / "alone").mkdir()
    alone = start(binary, tmp_path / "alone", f"http://127.0.0.1:{free_port()}", processes)
    answer = alone.get("/api/status")
    assert (answer.status_code, answer.json()["status"]["overall"]["state"]) == (503, "red")


def test_a_setting_that_does_not_exist_is_refused(binary, tmp_path):
    import subprocess

    (tmp_path / "kibana.yml").write_text("server.prt: 1\ntelemetry.optIn: false\n")
    done = subprocess.run(
        [binary, "-c", tmp_path / "kibana.yml"], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 1 and "definition for this key is missing" in done.stdout and "server.prt" in done.stdout


def test_a_write_without_kibanas_header_is_refused(kibana):
    answer = httpx.post(f"{kibana.base_url}/api/saved_objects/dashboard", json={"attributes": {"title": "x"}})
    assert (answer.status_code, answer.json()["message"]) == (400, "Request must contain a kbn-xsrf header.")


def test_saved_objects_are_made_found_changed_exported_and_imported(kibana):
    made = kibana.post("/api/saved_objects/dashboard/one", json={"attributes": {"title": "First board", "x": [1]}})
    assert made.status_code == 200 and made.json()["attributes"] == {"title": "First board", "x": [1]}
    assert kibana.post("/api/saved_objects/dashboard/one", json={"attributes": {"title": "again"}}).status_code == 409
    assert kibana.post("/api/saved_objects/nonsense", json={"attributes": {}}).status_code == 400
    kibana.put("/api/saved_objects/dashboard/one", json={"attributes": {"x": [2]}})
    assert kibana.get("/api/saved_objects/dashboard/one").json()["attributes"] == {"title": "First board", "x": [2]}
    found = kibana.get("/api/saved_objects/_find", params={"type": "dashboard", "search": "first"}).json()
    assert (found["total"], found["saved_objects"][0]["id"]) == (1, "one")
    assert kibana.get("/api/saved_objects/_find", params={"type": "dashboard", "search": "other"}).json()["total"] == 0

    exported = kibana.post("/api/saved_objects/_export", json={"objects": [{"type": "dashboard", "id": "one"}]}).text
    assert json.loads(exported.splitlines()[-1])["exportedCount"] == 1
    upload = {"files": {"file": ("export.ndjson", exported)}}
    conflict = kibana.post("/api/saved_objects/_import", **upload).json()
    assert (conflict["success"], conflict["errors"][0]["error"]["type"]) == (False, "conflict")
    assert kibana.delete("/api/saved_objects/dashboard/one").status_code == 200
    assert kibana.get("/api/saved_objects/dashboard/one").status_code == 404
    assert kibana.post("/api/saved_objects/_import", **upload).json()["successCount"] == 1
    assert kibana.get("/api/saved_objects/dashboard/one").json()["attributes"]["x"] == [2]
    kibana.delete("/api/saved_objects/dashboard/one")


DOCUMENTS: list[dict[str, Any]] = [
    {"level": "error", "service": "auth", "took": 5, "message": "login failed for alice"},
    {"level": "info", "service": "auth", "took": 50, "message": "login of bob"},
    {"level": "error", "service": "files", "took": 500, "message": "disk full", "http": {"status": 500}},
]


@pytest.fixture(scope="module")
def documents(elastic) -> None:
    body = ""
    for number, each in enumerate(DOCUMENTS):
        body += json.dumps({"index": {"_id": str(number)}}) + "\n"
        body += json.dumps({**each, "@timestamp": f"2026-01-01T00:00:0{number}Z"}) + "\n"
    headers = {"Content-Type": "application/x-ndjson"}
    answer = elastic.client.post("/search-test/_bulk?refresh=true", content=body, headers=headers)
    assert not answer.json()["errors"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", "210"),
        ("level:error", "20"),
        ("level:error and service:auth", "0"),
        ("LEVEL:x or level:info or took >= 500", "21"),
        ("not level:error", "1"),
        ("level:(error and not info) and not http.status:500", "0"),
        ('message:"login failed"', "0"),
        ('"login failed"', "0"),
        ("message:login", "10"),
        ("bob", "1"),
        ("service.keyword:f*", "2"),
        ("http.status:*", "2"),
        ("took > 5 and took < 100", "1"),
        ("message:login bob", "10"),
    ],
)
def test_kibanas_query_language_finds_documents(kibana, documents, query, ids):
    asked = {"index": "search-test", "query": query, "from": 1767225600000, "to": 1767225700000}
    answer = kibana.post("/internal/search/discover", json=asked).json()
    assert sorted(hit["_id"] for hit in answer["hits"]["hits"]) == sorted(ids), answer
    assert sum(bucket["doc_count"] for bucket in answer["aggregations"]["histogram"]["buckets"]) == len(ids)


@pytest.mark.parametrize("query", ["level:", "(a", "a and", "took >", "a)"])
def test_a_query_that_means_nothing_is_refused_with_its_place(kibana, query):
    answer = kibana.post("/internal/search/discover", json={"index": "search-test", "query": query, "from": 0, "to": 1})
    assert answer.status_code == 400 and "at position" in answer.json()["message"], answer.text


def test_an_index_patterns_fields_are_listed_and_the_pages_are_there(kibana, documents):
    fields = kibana.get("/api/index_patterns/_fields_for_wildcard", params={"pattern": "search-*"}).json()["fields"]
    assert {"name": "took", "type": "long", "searchable": True} in [
        {key: each[key] for key in ("name", "type", "searchable")} for each in fields
    ]
    assert kibana.get("/", follow_redirects=True).url.path == "/app/discover"
    assert "stand-in" in kibana.get("/app/discover").text and kibana.get("/ui/app.js").status_code == 200
    said = kibana.post("/api/console/proxy", params={"method": "GET", "path": "/_cat/indices/search-test?format=json"})
    assert said.json()[0]["index"] == "search-test"
