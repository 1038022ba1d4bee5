"""The book of updates: in folders and in a bucket of a real S3 server, by processes that live, end and are killed."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from ops import diff, history, history_store, recording, records, states
from ops.errors import BAD_INPUT, Failure
from ops.history_store import Bucket, Folder
from ops.paths import ROOT
from ops.records import Book, Holder, Record, Schema
from tests.s3 import bucket

URN = "urn:pulumi:dev::nexus::t:index:T::"


@pytest.fixture(scope="module")
def s3():
    """Pulumi's URL of a bucket on a server of its own."""
    with bucket() as address:
        yield f"s3://bucket/some/where?endpoint={address}&disableSSL=true&region=eu-west-1"


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return Folder(tmp_path / "history")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    url = request.getfixturevalue("s3").replace("some/where", tmp_path.name)
    found = history_store.of({**os.environ, "PULUMI_BACKEND_URL": url})
    assert isinstance(found, Bucket)
    return found


@pytest.fixture
def book(store):
    return Book(store, "dev")


def record(**known):
    return Record(**{"holder": Holder.here(), "started": time.time(), "result": "good", **known})


def state(**resources):
    made = [
        {"urn": URN + name, "type": "t:index:T", "id": f"id-{name}", "inputs": inputs}
        for name, inputs in resources.items()
    ]
    return {"version": 3, "deployment": {"resources": made}}


def test_a_store_creates_once_replaces_lists_and_removes(store):
    assert store.create("records/dev/1.json", b"one") is True
    assert store.create("records/dev/1.json", b"two") is False
    assert store.read("records/dev/1.json") == b"one"
    store.write("records/dev/1.json", b"three")
    store.write("records/dev2/1.json", b"of another stack")
    assert store.read("records/dev/1.json") == b"three"
    assert store.names("records/dev") == ["records/dev/1.json"]
    assert store.names("nothing") == [] and store.read("records/dev/2.json") is None
    store.remove("records/dev/1.json")
    store.remove("records/dev/1.json")
    assert store.names("records/dev") == []


def test_files_are_their_owners_alone(tmp_path):
    book = Book(Folder(tmp_path / "history"), "dev")
    book.put(book.add(record()))
    book.keep(state(a={}))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "history").rglob("*") if path.is_dir()} == {0o700}


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({"PULUMI_BACKEND_URL": "file:///there?no_tmp_dir=true"}, Path("/there/nexus-history/nexus")),
        ({"PULUMI_BACKEND_URL": "https://api.pulumi.com"}, ROOT / ".nexus/nexus-history/nexus"),
        (
            {"PULUMI_BACKEND_URL": "https://api.pulumi.com", "NEXUS_HISTORY_URL": "file:///h"},
            Path("/h/nexus-history/nexus"),
        ),
        ({}, ROOT / ".nexus/state/nexus-history/nexus"),
    ],
)
def test_the_history_is_beside_the_state_where_it_can_be(environ, where):
    found = history_store.of(environ)
    assert isinstance(found, Folder) and found.path == where
    assert found.shared == ("nexus-history" in str(where) and where.parts[:-2] != (ROOT / ".nexus").parts)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"NEXUS_HISTORY_URL": "ftp://there"}, "NEXUS_HISTORY_URL is 'ftp://there'"),
        ({"PULUMI_BACKEND_URL": "s3://b?profile=work"}, "AWS profile"),
        ({"PULUMI_BACKEND_URL": "s3://b", "AWS_PROFILE": "work"}, "AWS profile"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_with_what_can(environ, words):
    with pytest.raises(Failure) as caught:
        history_store.of(environ)
    assert caught.value.code == BAD_INPUT and words in str(caught.value) and "NEXUS_HISTORY_URL" in str(caught.value)


def test_a_bucket_that_refuses_is_a_failure_with_its_words(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    store = history_store.of({**os.environ, "PULUMI_BACKEND_URL": s3.replace("bucket/", "no-such-bucket/")})
    with pytest.raises(Failure, match="bucket with the history") as caught:
        store.write("a", b"b")
    assert "anything" not in str(caught.value)


def test_updates_are_numbered_in_their_order_and_read_as_they_were_written(book):
    first = book.add(record(message="one", settings="config: {a: 1}\n", dirty=("x.py",)))
    second = book.add(record(message="two", schemas={"users": Schema(history="items", revisions=("0001",))}))
    assert [first.number, second.number] == [1, 2]
    assert book.all() == [first, second] and book.one(2) == second
    with pytest.raises(Failure, match="no update 7") as caught:
        book.one(7)
    assert "1 to 2" in caught.value.why


ADD = """
import sys, time
from pathlib import Path
from ops.history_store import Folder
from ops.records import Book, Holder, Record
book = Book(Folder(Path(sys.argv[1])), "dev")
for _ in range(10):
    print(book.add(Record(holder=Holder.here())).number)
"""


def test_two_writers_never_get_the_same_number(tmp_path):
    command = [sys.executable, "-c", ADD, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 41))


def test_what_a_newer_version_has_added_is_kept_by_an_older_one(book):
    added = book.add(record())
    content = json.loads(book.store.read("records/dev/000001.json"))
    book.store.write("records/dev/000001.json", json.dumps({**content, "weather": "fine"}).encode())
    book.put(book.one(added.number).model_copy(update={"message": "again"}))
    assert json.loads(book.store.read("records/dev/000001.json"))["weather"] == "fine"


RUNNING = """
import sys, time
from pathlib import Path
from ops.history_store import Folder
from ops.records import Book, Holder, Record
Book(Folder(Path(sys.argv[1])), "dev").add(Record(holder=Holder.here()))
print("written", flush=True)
time.sleep(60)
"""


def test_an_update_whose_process_was_killed_is_recognised_and_a_running_one_is_not(tmp_path):
    book = Book(Folder(tmp_path), "dev")
    process = subprocess.Popen([sys.executable, "-c", RUNNING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    assert [one.result for one in book.all()] == ["running"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [one.result for one in book.all()] == ["killed"]
    assert json.loads(book.store.read("records/dev/000001.json"))["result"] == "running", "a look writes nothing"
    recording.close(book, "what-it-left")
    assert (book.one(1).result, book.one(1).after) == ("killed", "what-it-left")


@pytest.mark.parametrize(
    ("other", "gone"),
    [
        ({}, False),
        ({"boot": "an earlier start"}, True),
        ({"started": 1.0}, True),
        ({"pid": 2**22 + 1}, True),
        ({"host": "elsewhere"}, None),
    ],
)
def test_a_process_is_told_by_more_than_its_number(other, gone):
    assert Holder.here().model_copy(update=other).gone is gone


def test_an_update_of_another_host_was_killed_when_one_after_it_ended(book):
    away = Holder.here().model_copy(update={"host": "elsewhere"})
    book.add(record(result="running", holder=away))
    assert book.one(1).result == "running"
    book.add(record(result="failed"))
    assert book.one(1).result == "running", "a run that was refused the lock ends, too"
    book.add(record())
    assert book.one(1).result == "killed"


def test_the_last_ten_good_ones_are_kept_with_all_since_and_their_states(book):
    for number in range(1, 16):
        before, after = (book.keep(state(a={"n": each})) for each in (number - 1, number))
        result = "failed" if number in (5, 14) else "good"
        book.add(record(result=result, before=before, after=after))
    book.keep(state(a={"n": "of no record"}))
    book.prune()
    assert [one.number for one in book.all()] == list(range(4, 16)), "ten good ones: 4, 6 to 13 and 15"
    assert book.state(book.one(4).before) == state(a={"n": 3})
    assert len(book.store.names("states/dev")) == 13
    assert book.add(record()).number == 16


def test_a_state_is_kept_once_and_a_damaged_copy_is_refused(book):
    digest = book.keep(state(a={"n": 1}))
    assert book.keep(state(a={"n": 1})) == digest and len(book.store.names("states/dev")) == 1
    assert book.state(digest) == state(a={"n": 1})
    (name,) = book.store.names("states/dev")
    whole = book.store.read(name)
    for damage in (whole[:-20], whole[:40] + b"x" + whole[41:], states.packed(state(a={"n": 2}))[1]):
        book.store.write(name, damage)
        with pytest.raises(Failure, match="no good copy"):
            book.state(digest)


def test_a_history_is_listed_and_shown_for_people_and_programs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PULUMI_BACKEND_URL", tmp_path.as_uri())
    history.run("dev", None, as_json=False)
    assert "no updates yet" in capsys.readouterr().out
    book = records.of("dev", os.environ)
    book.add(
        record(commit="c" * 40, message="a [red]first[/]", seconds=75, healthy=9, services=9, changes={"create": 3})
    )
    book.add(record(result="failed", reason="a bad image", kind="rollback", target=1, dirty=("ops/up.py",),
                    settings="config:\n  a: 1\n", images={"redis:7": "sha256:" + "a" * 64}))  # fmt: skip
    history.run("dev", None, as_json=False)
    shown = capsys.readouterr().out
    assert "a [red]first[/]" in shown and "1 min 15 s" in shown and "9/9" in shown and "3 created" in shown
    history.run("dev", 2, as_json=False)
    shown = capsys.readouterr().out
    assert "rollback to 1" in shown and "a bad image" in shown and "ops/up.py" in shown and "  a: 1" in shown
    schema = json.loads((ROOT / "docs/schemas/history.schema.json").read_text())
    history.run("dev", None, as_json=True)
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema)
    assert [one["number"] for one in document["updates"]] == [1, 2]
    history.run("dev", 2, as_json=True)
    assert json.loads(capsys.readouterr().out) == document["updates"][1]


def test_the_schema_of_the_history_is_that_of_its_model():
    schema = json.loads((ROOT / "docs/schemas/history.schema.json").read_text())
    described = Record.model_json_schema(mode="serialization")
    assert schema["properties"]["updates"]["items"]["properties"] == described["properties"]
    assert schema["$defs"] == described["$defs"]


def test_a_diff_says_commits_settings_images_and_resources(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PULUMI_BACKEND_URL", tmp_path.as_uri())
    book = records.of("dev", os.environ)
    old = state(a={"memory": 1, "password": {"ciphertext": "v1:first"}}, b={})
    new = state(a={"memory": 2, "password": {"ciphertext": "v1:second"}}, c={})
    book.add(record(settings="config:\n  a: 1\n", images={"redis:7": "sha256:1"}, after=book.keep(old)))
    book.add(record(settings="config:\n  a: 2\n", images={"redis:8": "sha256:2"}, after=book.keep(new), dirty=("x",)))
    diff.run("dev", 1, 2, as_json=True)
    text = capsys.readouterr().out
    document = json.loads(text)
    jsonschema.validate(document, json.loads((ROOT / "docs/schemas/diff.schema.json").read_text()))
    assert "v1:" not in text, "values are not shown"
    assert [(one["op"], one["name"], one["properties"]) for one in document["resources"]] == [
        ("update", "a", ["memory", "password"]), ("delete", "b", []), ("create", "c", []),
    ]  # fmt: skip
    assert "-  a: 1" in document["settings"] and "+  a: 2" in document["settings"]
    assert [one["reference"] for one in document["images"]] == ["redis:7", "redis:8"]
    diff.run("dev", 1, 2, as_json=False)
    assert "~ update a (t:index:T): memory, password" in capsys.readouterr().out
    for name in book.store.names("states/dev"):
        book.store.remove(name)
    diff.run("dev", 1, 2, as_json=False)
    assert "resources: not known" in capsys.readouterr().out


def test_the_revisions_of_a_version_are_those_in_its_files(tmp_path):
    from infra import catalog

    folder = tmp_path / "services/migrations/items"
    folder.mkdir(parents=True)
    (folder / "0001_items.py").write_text('revision = "0001"\ndown_revision = None\n')
    (folder / "0002_notes.py").write_text('revision: str = "0002"\ndown_revision = "0001"\n')
    found = recording.schemas(catalog.load().enabled, tmp_path)
    assert found["users"] == Schema(history="items", revisions=("0001", "0002"))
    assert "auth" not in found, "its history is another one, which that version has not"
