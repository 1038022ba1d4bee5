"""An update is written down before it begins and when it ends, however it ends."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ops import recording, records
from ops.errors import UNHEALTHY, Failure
from ops.history_store import Folder
from ops.workspace import Workspace

SETTINGS = "config:\n  nexus:ai: {key: {secure: v1:abc}}\nencryptionsalt: v1:salt\n"


def row(name, well):
    return SimpleNamespace(name=name, well=well)


@pytest.fixture
def current(tmp_path, monkeypatch):
    """A stack of no resources whose services are as the test says."""
    (tmp_path / "Pulumi.dev.yaml").write_text(SETTINGS)
    space = Workspace("dev", Path("/bin/false"), {"PULUMI_BACKEND_URL": tmp_path.as_uri()}, tmp_path)
    space.state_file.parent.mkdir(parents=True)
    write(space, 0)
    monkeypatch.setattr(recording, "made", lambda volumes: {})
    monkeypatch.setattr(recording.status, "collect", lambda _: [row("redis", True), row("kong", False)])
    return SimpleNamespace(workspace=space, source="local", inputs=SimpleNamespace(services=()))


def write(space, count):
    """The stack's state with so many resources."""
    made = [{"urn": f"urn:pulumi:dev::nexus::t:index:T::{n}", "type": "t:index:T", "id": str(n)} for n in range(count)]
    space.state_file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": made}}}))


def book(current):
    return records.of("dev", current.workspace.env)


def test_a_good_update_is_written_before_it_begins_and_when_it_ended(current):
    with recording.update(current, message="why") as entry:
        running = book(current).one(1)
        assert (running.result, running.message, running.settings) == ("running", "why", SETTINGS)
        assert running.holder.gone is False and running.before and not running.after
        write(current.workspace, 2)
        entry.healthy([row("redis", True)])
    ended = book(current).one(1)
    assert (ended.result, ended.healthy, ended.services, ended.sick) == ("good", 1, 1, ())
    assert (ended.changes, ended.resources) == ({"create": 2}, 2)
    assert len(book(current).state(ended.after)["deployment"]["resources"]) == 2


def test_an_update_after_which_not_all_are_well_is_unhealthy(current):
    with recording.update(current) as entry:
        entry.healthy([row("redis", True), row("kong", False)])
    ended = book(current).one(1)
    assert (ended.result, ended.sick, ended.reason, ended.good) == ("unhealthy", ("kong",), "not healthy: kong", False)


@pytest.mark.parametrize(
    ("error", "result", "reason"),
    [
        (Failure("a bad image", "because"), "failed", "a bad image"),
        (Failure("sick", "because", "", UNHEALTHY), "unhealthy", "sick"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (OSError("disk full"), "failed", "disk full"),
    ],
)
def test_how_an_update_ended_is_written_and_goes_on_as_it_was(current, error, result, reason):
    with pytest.raises(type(error)), recording.update(current):
        write(current.workspace, 1)
        raise error
    ended = book(current).one(1)
    assert (ended.result, ended.reason, ended.changes) == (result, reason, {"create": 1})
    assert (ended.healthy, ended.services, ended.sick) == (1, 2, ("kong",)), "health is looked at all the same"


def test_what_cannot_be_kept_beforehand_stops_the_update_and_afterwards_hides_nothing(current, monkeypatch, capsys):
    def full(*_):
        raise OSError("disk full")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="disk full"):
        broken.setattr(Folder, "create", full)
        with recording.update(current):
            pytest.fail("it began without a copy of the state")
    with pytest.raises(Failure, match="a bad image"), recording.update(current):
        monkeypatch.setattr(Folder, "write", full)
        raise Failure("a bad image")
    assert "could not be written down: disk full" in capsys.readouterr().err.replace("\n", " ")


def test_a_run_for_a_rollback_says_to_which_update(current, monkeypatch):
    monkeypatch.setenv(recording.TARGET, "7")
    with recording.update(current) as entry:
        entry.healthy([row("redis", True)])
    with recording.update(current, "down"):
        current.workspace.state_file.unlink()
    back, down = book(current).all()
    assert (back.kind, back.target, back.good) == ("rollback", 7, True)
    assert (down.kind, down.result, down.after, down.good) == ("down", "good", "", False)
