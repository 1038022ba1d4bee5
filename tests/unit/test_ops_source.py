"""Upstream or local, asked of real servers on this machine."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ops import source
from ops.source import LOCAL, UPSTREAM, Decision


@contextmanager
def server(status: int, delay: float = 0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            time.sleep(delay)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


@pytest.fixture
def ask(monkeypatch, tmp_path):
    monkeypatch.setattr(source, "FILE", tmp_path / "source")
    monkeypatch.delenv("NEXUS_SOURCE", raising=False)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)

    def set_targets(registry, downloads):
        monkeypatch.setenv("NEXUS_REGISTRY_PROBE", registry)
        monkeypatch.setenv("NEXUS_DOWNLOADS_PROBE", downloads)

    return set_targets


def test_upstream_when_the_registry_asks_for_a_token_and_the_downloads_answer(ask):
    with server(401) as registry, server(200) as downloads:
        ask(registry, downloads)
        assert source.probe().source == UPSTREAM


@pytest.mark.parametrize(("registry_status", "downloads_status"), [(401, 403), (403, 200), (503, 503), (200, 404)])
def test_local_when_one_of_them_answers_something_else_as_a_proxy_that_blocks_does(
    ask, registry_status, downloads_status
):
    with server(registry_status) as registry, server(downloads_status) as downloads:
        ask(registry, downloads)
        found = source.probe()
    assert found.source == LOCAL
    assert "answered" in found.why


def test_local_when_nobody_listens_and_it_says_whom_it_asked(ask):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        ask(address, address)
        found = source.probe()
    assert found.source == LOCAL
    assert address in found.why


def test_a_server_that_never_answers_costs_no_more_than_the_limit(ask):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        ask(address, address)
        started = time.monotonic()
        found = source.probe(limit=0.5)
    assert found.source == LOCAL and ("no answer within 0.5 s" in found.why or "timed out" in found.why)
    assert time.monotonic() - started < 1


def test_both_are_asked_at_the_same_time(ask):
    with server(200, delay=0.6) as registry, server(200, delay=0.6) as downloads:
        ask(registry, downloads)
        started = time.monotonic()
        assert source.probe().source == UPSTREAM
    assert time.monotonic() - started < 1.1


def test_the_answer_is_remembered_so_that_a_slow_moment_does_not_change_the_images(ask, monkeypatch):
    with server(200) as both:
        ask(both, both)
        assert source.decide(None).source == UPSTREAM
    monkeypatch.setattr(source, "probe", lambda: pytest.fail("asked again"))
    assert source.decide(None).source == UPSTREAM
    assert json.loads(source.FILE.read_text())["source"] == UPSTREAM


def test_auto_asks_again_and_a_name_decides_without_asking(ask, monkeypatch):
    source.decide(UPSTREAM)
    monkeypatch.setattr(source, "probe", lambda: Decision(LOCAL, "now it is"))
    assert source.decide("auto") == Decision(LOCAL, "now it is")
    assert source.decide(UPSTREAM).source == UPSTREAM
    assert source.decide(None).source == UPSTREAM


def test_the_environment_variable_decides_without_being_remembered(ask, monkeypatch):
    source.decide(LOCAL)
    monkeypatch.setenv("NEXUS_SOURCE", UPSTREAM)
    assert source.decide(None).source == UPSTREAM
    assert source.recorded().source == LOCAL


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source": "moon", "why": ""}', "{}"])
def test_a_damaged_record_is_as_good_as_none(ask, content):
    source.FILE.write_text(content)
    assert source.recorded() is None
