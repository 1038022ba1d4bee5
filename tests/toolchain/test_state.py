"""The state under the real CLI: damage is found and undone from a copy; of many who write to it, one does at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops import paths, records, state_doctor, state_restore, states
from ops.errors import BAD_INPUT, LOCKED, Failure
from ops.pulumi_cli import Toolchain
from ops.records import Book, Holder, Record
from ops.workspace import PROJECT, Workspace
from tests.s3 import bucket
from tests.toolchain.conftest import Project

ROOT = Path(__file__).resolve().parents[2]
#: How many want the stack at the same time, and how often each; an `up` of the CLI takes a second of a processor.
CONTENDERS = 20
ROUNDS = int(os.environ.get("NEXUS_TEST_CONTENDER_ROUNDS", "1"))

PROGRAM = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("made", props)

class Thing(Resource):
    def __init__(self, name, value, opts=None):
        super().__init__(Provider(), name, {"value": value}, opts)

first = Thing("first", pulumi.Output.secret("not to be seen"))
Thing("second", 2, pulumi.ResourceOptions(depends_on=[first], parent=first))
"""


@pytest.fixture
def space(tmp_path: Path, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A stack with two resources, and a book that has its state."""
    (tmp_path / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    project = Project(tmp_path, toolchain)
    project.write(PROGRAM)
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / "private")
    monkeypatch.setattr(state_doctor, "engine", lambda *_: iter(()))  # there are no containers in this stack
    made = Workspace("test", toolchain.pulumi, project.environment(), tmp_path)
    made.ensure()
    project.ok("up", "--yes", "-s", "test", "--skip-preview")
    return made


@pytest.fixture
def book(space: Workspace) -> Book:
    found = records.of(space.stack, space.env)
    found.add(Record(holder=Holder.here(), result="good", after=found.keep(current(space))))
    return found


def current(space: Workspace) -> dict[str, Any]:
    state, problem = state_doctor.read(space)
    assert state is not None, problem
    return state


def failed(space: Workspace) -> dict[str, str]:
    return {check.name: check.value for check in state_doctor.every(space) if check.result == "failed"}


def unchanged(space: Workspace) -> None:
    space.run("preview", "--expect-no-changes")


def edit(space: Workspace, change: Callable[[list[dict[str, Any]], dict[str, Any]], None]) -> None:
    """Change the state's file behind Pulumi's back."""
    assert space.state_file
    checkpoint = json.loads(space.state_file.read_text())
    change(checkpoint["checkpoint"]["latest"]["resources"], checkpoint["checkpoint"]["latest"])
    space.state_file.write_text(json.dumps(checkpoint))


def named(resources: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(one for one in resources if one["urn"].endswith(f"::{name}"))


def twice(resources: list[dict[str, Any]], _: dict[str, Any]) -> None:
    resources.append(named(resources, "second"))


def orphaned(resources: list[dict[str, Any]], _: dict[str, Any]) -> None:
    resources.remove(named(resources, "first"))


def reordered(resources: list[dict[str, Any]], _: dict[str, Any]) -> None:
    resources.append(resources.pop(resources.index(named(resources, "first"))))


def cut_off(resources: list[dict[str, Any]], latest: dict[str, Any]) -> None:
    latest["pending_operations"] = [{"type": "creating", "resource": named(resources, "second")}]


def garbled(resources: list[dict[str, Any]], _: dict[str, Any]) -> None:
    secret = named(resources, "first")["inputs"]["value"]
    secret["ciphertext"] = secret["ciphertext"][:-8] + "AAAAAAA="


def test_a_state_as_pulumi_wrote_it_is_well_and_its_copy_the_same(space: Workspace, book: Book) -> None:
    assert [(check.name, check.result) for check in state_doctor.every(space)] == [
        ("readable", "ok"), ("sound", "ok"), ("finished", "ok"), ("secrets", "ok"), ("copy", "ok"),
    ]  # fmt: skip
    assert b"not to be seen" not in states.packed(current(space))[1]
    assert "not to be seen" not in json.dumps(book.state(book.one(1).after))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (twice, {"sound": "is there twice"}),
        (orphaned, {"sound": "its parent first is not there before it"}),
        (reordered, {"sound": "its parent first is not there before it"}),
        (cut_off, {"finished": "creating second"}),
        (garbled, {"secrets": ""}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage_is_found_named_and_undone_from_the_copy(
    space: Workspace, book: Book, damage: Callable[..., None], found: dict[str, str]
) -> None:
    edit(space, damage)
    problems = failed(space)
    for name, words in found.items():
        assert words in problems[name]
    state_restore.back(space, None, state_doctor.read(space), yes=True)
    assert failed(space) == {}
    assert states.compare(current(space), book.state(book.one(1).after)) == []
    unchanged(space)


def test_a_torn_file_is_put_aside_and_the_copy_takes_its_place(space: Workspace, book: Book, tmp_path: Path) -> None:
    assert space.state_file
    torn = space.state_file.read_bytes()[:-500]
    space.state_file.write_bytes(torn)
    assert list(failed(space)) == ["readable"]
    state_restore.back(space, 1, state_doctor.read(space), yes=True)
    assert failed(space) == {}
    unchanged(space)
    (kept,) = (tmp_path / "private" / state_restore.REPLACED).iterdir()
    assert kept.read_bytes() == torn and kept.stat().st_mode & 0o777 == 0o600


def test_nothing_is_restored_unasked_or_from_a_copy_that_is_not_sound(space: Workspace, book: Book) -> None:
    edit(space, twice)
    damaged = current(space)
    with pytest.raises(Failure) as caught:
        state_restore.back(space, None, state_doctor.read(space), yes=False)
    assert caught.value.code == BAD_INPUT and current(space) == damaged
    book.add(Record(holder=Holder.here(), after=book.keep(damaged)))
    with pytest.raises(Failure, match="copy of update 2 is not sound"):
        state_restore.back(space, 2, state_doctor.read(space), yes=True)
    assert state_restore.chosen(book, None)[0].number == 1, "the newest sound one"
    assert current(space) == damaged


def test_another_passphrase_is_told_from_a_sound_state(space: Workspace, tmp_path: Path) -> None:
    other = Workspace("test", space.pulumi, {**space.env, "PULUMI_CONFIG_PASSPHRASE": "another"}, tmp_path)
    assert list(failed(other)) == ["secrets"]


CONTENDER = """
import json, os, sys, time
from pathlib import Path
from ops import locks
from ops.errors import LOCKED, Failure
from ops.workspace import Workspace
program, env, clone = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])
space = Workspace("test", Path(program), env, Path(sys.argv[4]))
quiet = lambda _: None
for _ in range(int(sys.argv[5])):
    done = False
    while not done:
        with locks.hold("test", "up test", 300, quiet, clone):
            locks.settle(space, 300, quiet)
            try:
                list(space.events("up", "--yes", "--skip-preview", timeout=300))
                done = True
            except Failure as failure:
                if failure.code != LOCKED:
                    raise
        time.sleep(0.05)
print("done")
"""
#: Whoever finds the file is not alone.
ALONE = """
import os, time
from pathlib import Path
writer = Path("writer")
os.close(os.open(writer, os.O_CREAT | os.O_EXCL))
time.sleep(0.1)
writer.unlink()
with Path("written").open("a") as log:
    log.write("once\\n")
"""


def test_of_many_who_want_a_stack_one_writes_at_a_time_also_from_two_clones(space: Workspace, tmp_path: Path) -> None:
    """Those of one clone wait for its lock; between clones there is only Pulumi's in the backend."""
    (tmp_path / "__main__.py").write_text(ALONE)
    clones = [tmp_path / "one", tmp_path / "two"]
    command = [sys.executable, "-c", CONTENDER, str(space.pulumi), json.dumps(dict(space.env))]
    processes = [
        subprocess.Popen(
            [*command, str(clones[number % 2]), str(tmp_path), str(ROUNDS)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(CONTENDERS)
    ]  # fmt: skip
    ends = [process.communicate(timeout=60 + 30 * CONTENDERS * ROUNDS) for process in processes]
    assert [said for said, _ in ends] == ["done\n"] * CONTENDERS, [error[-800:] for _, error in ends if error]
    assert len((tmp_path / "written").read_text().splitlines()) == CONTENDERS * ROUNDS
    assert failed(space) == {}


def test_a_lock_that_somebody_has_is_waited_for_no_longer_than_asked(space: Workspace) -> None:
    folder = space.backend / ".pulumi" / "locks" / "organization" / PROJECT / "test"  # type: ignore[operator]
    folder.mkdir(parents=True, exist_ok=True)
    lock = {"pid": 1, "username": "somebody", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "theirs.json").write_text(json.dumps(lock))
    with pytest.raises(Failure) as caught:
        list(space.events("up", "--yes", "--skip-preview", timeout=60))
    assert caught.value.code == LOCKED and "elsewhere" in str(caught.value)


def test_the_history_of_a_state_in_a_bucket_is_in_that_bucket(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anything")
    with bucket() as address:
        url = f"s3://bucket/some/where?endpoint={address}&disableSSL=true&s3ForcePathStyle=true&region=eu-west-1"
        keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "anything")
        there = Workspace("test", space.pulumi, {**space.env, **keys, "PULUMI_BACKEND_URL": url}, space.root)
        assert there.ensure() is True and there.exists()
        list(there.events("up", "--yes", "--skip-preview", timeout=120))
        book = records.of("test", there.env)
        book.add(Record(holder=Holder.here(), result="good", after=book.keep(current(there))))
        assert failed(there) == {}
        there.load({**current(there), "deployment": {**current(there)["deployment"], "resources": []}})
        state_restore.back(there, None, state_doctor.read(there), yes=True)
        unchanged(there)
        listed = httpx.get(f"http://{address}/bucket?list-type=2", trust_env=False).text
        assert "some/where/nexus-history/nexus/records/test/000001.json" in listed and "some/where/.pulumi" in listed
