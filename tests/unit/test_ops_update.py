"""Updates, from the engine's events and from a CLI that behaves like Pulumi's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops import paths, update
from ops.errors import BAD_INPUT, Failure
from ops.events import Tracker
from ops.paths import ROOT
from ops.workspace import Workspace

URN = "urn:pulumi:dev::nexus::docker:index/container:Container::"
TYPE = "docker:index/container:Container"


def event(kind, op, name, **more):
    new = {"custom": True, "inputs": more.pop("new", {}), "outputs": more.pop("outputs", {})}
    data = {"op": op, "urn": URN + name, "type": TYPE, "new": new, "old": {"inputs": more.pop("old", {})}, **more}
    return {kind: {"metadata": data}}


def diagnostic(text, name=None):
    return {"diagnosticEvent": {"urn": URN + name if name else "", "severity": "error", "message": text}}


def test_a_tracker_follows_what_runs_what_ended_and_how_long_it_took():
    said = []
    tracker = Tracker(report=said.append)
    tracker(event("resourcePreEvent", "create", "redis-server"))
    assert [step.urn for step in tracker.running.values()] == [URN + "redis-server"]
    tracker(event("resOutputsEvent", "create", "redis-server"))
    tracker({"summaryEvent": {"resourceChanges": {"create": 1, "same": 4}}})
    assert tracker.running == {}
    assert said[0].startswith("created Container redis-server (")
    assert tracker.summary == "1 created, 4 unchanged"


def test_the_time_of_a_service_ends_with_its_last_changed_resource():
    tracker = Tracker()
    for name in ("kong-server", "kong-ready", "kong-routes-x", "kongfu-server", "redis-server"):
        tracker(event("resourcePreEvent", "same" if name == "redis-server" else "create", name))
        time.sleep(0.01)
        tracker(event("resOutputsEvent", "same" if name == "redis-server" else "create", name))
    took = tracker.service_seconds(["kong", "redis", "kongfu"])
    assert set(took) == {"kong", "kongfu"}
    assert took["kong"] < took["kongfu"]


def test_two_updates_of_one_run_are_counted_as_one():
    first, second = Tracker(), Tracker()
    first(event("resOutputsEvent", "create", "kong-server"))
    first({"summaryEvent": {"resourceChanges": {"create": 2, "same": 5}}})
    second({"summaryEvent": {"resourceChanges": {"update": 1, "same": 7}}})
    second.absorb(first)
    assert second.summary == "2 created, 1 updated, 7 unchanged"
    assert set(second.service_seconds(["kong"])) == {"kong"}


def test_drift_is_what_a_refresh_finds_changed_or_gone():
    tracker = Tracker()
    tracker(event("resOutputsEvent", "refresh", "same", old={"a": 1}))
    tracker(event("resOutputsEvent", "refresh", "changed", detailedDiff={"memory": {"kind": "update"}}))
    gone = event("resOutputsEvent", "refresh", "gone")
    gone["resOutputsEvent"]["metadata"]["new"] = None
    tracker(gone)
    assert tracker.drifted == [URN + "changed", URN + "gone"]


def test_a_failed_update_names_the_resource_and_what_its_plugin_said(monkeypatch):
    monkeypatch.setattr(update, "_last_words", lambda name: [f"{name} says goodbye"])
    tracker = Tracker()
    tracker(event("resOpFailedEvent", "create", "redis-server", new={"name": "nexus-dev-redis"}))
    tracker(diagnostic("port is already allocated", "redis-server"))
    tracker(diagnostic("update failed"))
    failure = update.explain(tracker, Failure("pulumi up failed", "", "look"))
    assert failure.what == "Container redis-server failed"
    assert "port is already allocated" in failure.why and "nexus-dev-redis says goodbye" in failure.why
    assert failure.code == BAD_INPUT


def test_a_failure_before_any_resource_is_left_as_it_is():
    failure = Failure("wrong passphrase", "why", "remedy", BAD_INPUT)
    assert update.explain(Tracker(), failure) is failure


FAKE = """#!{python}
import json, os, signal, sys, time
log = open(os.environ["FAKE_LOG"], "a", buffering=1)
def stop(*_):
    log.write("asked to stop\\n")
    time.sleep(float(os.environ.get("FAKE_LAST", "0.2")))
    print(json.dumps({{"diagnosticEvent": {{"severity": "error", "message": "update canceled"}}}}), flush=True)
    log.write("ended\\n")
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
print(json.dumps({{"diagnosticEvent": {{"severity": "info", "message": "begun"}}}}), flush=True)
log.write("begun " + " ".join(sys.argv[1:]) + "\\n")
print("error: " + os.environ.get("FAKE_ERROR", ""), file=sys.stderr)
end = time.time() + float(os.environ.get("FAKE_SECONDS", "0"))
while time.time() < end:
    time.sleep(0.02)
print('{{"diagnosticEvent": {{"message": "without a newline"}}}}', end="", flush=True)
sys.exit(int(os.environ.get("FAKE_CODE", "0")))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A workspace whose CLI is a small program that behaves like Pulumi's."""
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / "private")
    program = tmp_path / "pulumi"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)

    def make(**settings):
        env = {**os.environ, "FAKE_LOG": str(tmp_path / "log"), **settings}
        return Workspace("dev", program, env, tmp_path)

    make.log = tmp_path / "log"
    return make


def test_events_arrive_complete_and_in_order_also_without_a_last_newline(fake):
    found = list(fake().events("up", "--yes", timeout=10))
    assert [item["diagnosticEvent"]["message"] for item in found] == ["begun", "without a newline"]
    assert "up --json --non-interactive --stack dev --yes" in fake.log.read_text()


def test_a_cli_that_fails_ends_in_a_failure_with_its_words(fake):
    with pytest.raises(Failure, match="wrong passphrase") as caught:
        list(fake(FAKE_CODE="1", FAKE_ERROR="incorrect passphrase").events("up", timeout=10))
    assert caught.value.code == BAD_INPUT


def test_a_run_that_takes_too_long_is_asked_to_stop_and_its_last_events_are_read(fake):
    seen = []
    with pytest.raises(Failure, match="--timeout"):
        seen.extend(fake(FAKE_SECONDS="60").events("up", timeout=1))
    assert fake.log.read_text().splitlines()[-2:] == ["asked to stop", "ended"]


RUN = """
import json, os, sys
from pathlib import Path
from ops import paths
from ops.workspace import Workspace
paths.PRIVATE = Path(sys.argv[1])
for event in Workspace("dev", Path(sys.argv[2]), dict(os.environ), Path(sys.argv[1])).events("up", timeout=60):
    print("event", flush=True)
"""


@pytest.fixture
def running(fake, tmp_path):
    environment = dict(fake(FAKE_SECONDS="60").env)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path), str(tmp_path / "pulumi")],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "event\n"
    yield process
    process.kill()
    process.communicate()


def ends(log: Path, seconds=5.0):
    deadline = time.monotonic() + seconds
    while "ended" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    return log.read_text().splitlines()


def test_when_nexus_is_killed_pulumi_is_asked_to_stop_and_finishes_what_it_has_begun(running, fake):
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert ends(fake.log)[-2:] == ["asked to stop", "ended"]


def test_an_interruption_asks_pulumi_to_stop_and_waits_for_it(running, fake):
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=10)
    assert ends(fake.log)[-2:] == ["asked to stop", "ended"]
    assert "Press Ctrl-C again" in errors
    assert running.returncode != 0
