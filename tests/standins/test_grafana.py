"""The stand-in for Grafana: its settings, provisioning, sign-in and API, with a real Prometheus and Elasticsearch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from ops import artifacts
from tests.ports import free_port
from tests.standins.process import Process, eventually

pytestmark = pytest.mark.engine
SIGNED = ("admin", "first")


@pytest.fixture(scope="session")
def binary() -> Path:
    return artifacts.build("grafana-standin", lambda _line: None)


class Grafana:
    """A process with folders of its own."""

    def __init__(
        self, binary: Path, folder: Path, processes: list[Process], sources: list[dict], **settings: str
    ) -> None:
        self.binary, self.boards, port = binary, folder / "boards", free_port()
        provisioning = folder / "provisioning"
        for each in ("datasources", "dashboards"):
            (provisioning / each).mkdir(parents=True)
        self.boards.mkdir()
        (provisioning / "datasources/x.yaml").write_text(json.dumps({"apiVersion": 1, "datasources": sources}))
        provider = {
            "name": "x",
            "folder": "F",
            "type": "file",
            "updateIntervalSeconds": 1,
            "options": {"path": str(self.boards)},
        }
        (provisioning / "dashboards/x.yaml").write_text(json.dumps({"apiVersion": 1, "providers": [provider]}))
        self.board("board", title="A board", tags=["t"])
        (folder / "password").write_text("first\n")
        self.settings = {
            "GF_PATHS_DATA": str(folder / "data"),
            "GF_PATHS_PROVISIONING": str(provisioning),
            "GF_SECURITY_ADMIN_PASSWORD__FILE": str(folder / "password"),
            "GF_SERVER_HTTP_PORT": str(port),
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            **settings,
        }
        self.process = Process([str(binary), "server"], folder, port, self.settings)
        processes.append(self.process)

    def board(self, name: str, **fields: object) -> None:
        (self.boards / f"{name}.json").write_text(json.dumps({"uid": name, "panels": [], **fields}))

    def start(self) -> httpx.Client:
        return self.process.start("/api/health").client


@pytest.fixture
def grafana(binary, tmp_path, processes, metrics, elastic) -> Grafana:
    sources = [
        {"name": "Prometheus", "uid": "prometheus", "type": "prometheus", "url": metrics.url, "isDefault": True},
        {
            "name": "Elasticsearch",
            "uid": "elastic",
            "type": "elasticsearch",
            "url": elastic.url,
            "jsonData": {"index": "x"},
        },
    ]
    return Grafana(binary, tmp_path, processes, sources)


def test_nobody_sees_anything_without_signing_in(grafana):
    client = grafana.start()
    for path in (
        "/api/search",
        "/api/datasources",
        "/api/dashboards/uid/board",
        "/api/datasources/proxy/uid/prometheus/api/v1/query",
    ):
        assert client.get(path).status_code == 401, path
    assert client.get("/api/health").json()["database"] == "ok"
    assert "stand-in" in client.get("/").text


def test_a_session_lasts_until_its_end_and_over_a_restart(grafana):
    client = grafana.start()
    assert client.post("/login", json={"user": "admin", "password": "wrong"}).status_code == 401
    signed = client.post("/login", json={"user": "admin", "password": "first"})
    assert signed.json()["message"] == "Logged in"
    assert "HttpOnly" in signed.headers["set-cookie"] and "SameSite=Lax" in signed.headers["set-cookie"]
    assert client.get("/api/user").json()["login"] == "admin"
    assert grafana.process.stop() == 0
    grafana.start()
    assert client.get("/api/user").status_code == 200
    client.get("/logout")
    assert client.get("/api/user").status_code == 401


def test_guessing_is_ended_after_five_attempts(grafana):
    client = grafana.start()
    for _ in range(5):
        assert client.get("/api/user", auth=("admin", "guess")).status_code == 401
    assert client.get("/api/user", auth=SIGNED).status_code == 401


def test_the_command_line_changes_the_password_of_a_running_server_and_its_sessions_end(grafana):
    client = grafana.start()
    client.post("/login", json={"user": "admin", "password": "first"})
    argv = [grafana.binary, "cli", "admin", "reset-admin-password", "--password-from-stdin"]
    done = subprocess.run(
        argv, env=grafana.settings, input="second\n", capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stdout
    assert client.get("/api/user").status_code == 401
    assert client.get("/api/user", auth=("admin", "second")).status_code == 200
    assert "second" not in (Path(grafana.settings["GF_PATHS_DATA"]) / "grafana-standin.json").read_text()


def test_a_setting_given_twice_is_refused(grafana, tmp_path):
    given = {**grafana.settings, "GF_SECURITY_ADMIN_PASSWORD": "x"}
    done = subprocess.run(
        [grafana.binary, "server"], env=given, capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 1 and "are set (but are exclusive)" in done.stdout


def test_dashboards_are_read_from_files_and_again_when_one_changes(grafana):
    client = grafana.start()
    client.auth = SIGNED
    (found,) = client.get("/api/search", params={"tag": "t"}).json()
    assert (found["uid"], found["title"], found["folderTitle"], found["url"]) == (
        "board",
        "A board",
        "F",
        "/d/board/a-board",
    )
    meta = client.get("/api/dashboards/uid/board").json()["meta"]
    assert (meta["provisioned"], meta["canSave"]) == (True, False)
    grafana.board("added", title="Added")
    eventually(lambda: [each["title"] for each in client.get("/api/search").json()] == ["A board", "Added"])
    (grafana.boards / "added.json").write_text("{not json")
    eventually(lambda: len(client.get("/api/search").json()) == 1)


def test_saved_dashboards_are_kept_and_provisioned_ones_are_not_overwritten(grafana):
    client = grafana.start()
    client.auth = SIGNED
    made = client.post("/api/dashboards/db", json={"dashboard": {"uid": "own", "title": "Own"}}).json()
    assert (made["status"], made["version"]) == ("success", 1)
    stale = client.post("/api/dashboards/db", json={"dashboard": {"uid": "own", "title": "Own", "version": 0}})
    assert stale.status_code == 412
    assert client.post("/api/dashboards/db", json={"dashboard": {"uid": "board", "title": "x"}}).status_code == 400
    grafana.process.kill()
    grafana.start()
    assert client.get("/api/dashboards/uid/own").json()["dashboard"]["title"] == "Own"
    assert client.delete("/api/dashboards/uid/own").status_code == 200
    assert client.get("/api/dashboards/uid/own").status_code == 404


def test_data_sources_are_asked_through_it_and_only_asked(grafana, elastic):
    client = grafana.start()
    client.auth = SIGNED
    for uid in ("prometheus", "elastic"):
        assert client.get(f"/api/datasources/uid/{uid}/health").json()["status"] == "OK"
    proxy = "/api/datasources/proxy/uid"
    answer = client.get(f"{proxy}/prometheus/api/v1/query", params={"query": "vector(3)"}).json()
    assert answer["data"]["result"][0]["value"][1] == "3"
    assert client.post(f"{proxy}/prometheus/api/v1/query", data={"query": "vector(4)"}).status_code == 200
    assert client.post(f"{proxy}/prometheus/-/reload").status_code == 403
    assert client.delete(f"{proxy}/elastic/some-index").status_code == 403
    assert client.put(f"{proxy}/elastic/some-index").status_code == 403
    lines = '{"index":"*"}\n{"size":0}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    assert "responses" in client.post(f"{proxy}/elastic/_msearch", content=lines, headers=headers).json()
    assert elastic.client.head("/some-index").status_code == 404


def test_a_data_source_of_an_unknown_kind_stops_the_start(binary, tmp_path, processes):
    server = Grafana(binary, tmp_path, processes, [{"name": "X", "type": "mysql", "url": "http://x"}])
    done = subprocess.run(
        [binary, "server"], env=server.settings, capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 1 and 'the type "mysql"' in done.stdout


def test_anybody_may_look_where_that_is_set_and_nobody_may_change(binary, tmp_path, processes):
    client = Grafana(binary, tmp_path, processes, [], GF_AUTH_ANONYMOUS_ENABLED="true").start()
    assert client.get("/api/search").status_code == 200
    assert client.post("/api/dashboards/db", json={"dashboard": {"title": "x"}}).status_code == 403
