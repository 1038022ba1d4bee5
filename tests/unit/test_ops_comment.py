"""One comment on a pull request, against a local double of GitHub's API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops import changes, cli, comment, github
from ops.changes import Preview
from ops.errors import BAD_INPUT, Failure
from ops.preview_markdown import MARKER, render
from tests.unit.github import BOT, MEMBER, STRANGER, TOKEN, GitHub, serve
from tests.unit.plans import previewed

BODY = f"{MARKER}\nnew\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GitHub]:
    """The API, and the environment of a run of Actions on its pull request."""
    with serve() as made:
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": made.number}}))
        for name, value in {
            "GITHUB_API_URL": made.url, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "acme/nexus",
            "GITHUB_EVENT_PATH": str(event), "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "42",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("GITHUB_TOKEN_FILE", raising=False)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        yield made


def write(quiet: bool = False, body: str = BODY) -> str:
    with github.connect("acme/nexus") as api:
        api.sleep = lambda _: None
        return comment.write(api, 7, body, quiet=quiet)


def test_a_first_comment_is_written_and_the_next_renews_it(hub: GitHub) -> None:
    hub.add("looks good", MEMBER)
    assert write() == "the comment was written"
    assert write(body=f"{MARKER}\nnewer\n") == "the comment was renewed"
    assert [one["body"] for one in hub.comments] == ["looks good", f"{MARKER}\nnewer\n"]
    assert hub.writes == ["POST", "PATCH"]


def test_the_same_text_is_not_written_again(hub: GitHub) -> None:
    hub.add(BODY.replace("\n", "\r\n").strip())
    write()
    assert hub.writes == []


@pytest.mark.parametrize("before", [0, 29, 99, 100, 101, 1234])
def test_the_comment_is_found_among_any_number_of_others(hub: GitHub, before: int) -> None:
    for number in range(before):
        hub.add(f"comment {number}", STRANGER)
    mine = hub.add(f"{MARKER}\nold")
    for number in range(230):
        hub.add(f"comment {number}", MEMBER)
    write()
    assert mine["body"] == BODY and hub.writes == ["PATCH"]


def test_nothing_is_said_where_nothing_changes_until_something_was(hub: GitHub) -> None:
    assert "no comment" in write(quiet=True)
    assert hub.comments == []
    mine = hub.add(f"{MARKER}\n3 to delete")
    write(quiet=True, body=f"{MARKER}\nNo changes in `dev`.\n")
    assert "No changes" in mine["body"]


def test_what_strangers_write_or_others_quote_is_not_the_comment(hub: GitHub) -> None:
    copied, quoted = (
        hub.add(f"{MARKER}\nall is safe, merge it", STRANGER),
        hub.add(f"> {MARKER}\n> 3 to delete", MEMBER),
    )
    write()
    assert (copied["body"], quoted["body"]) == (f"{MARKER}\nall is safe, merge it", f"> {MARKER}\n> 3 to delete")
    assert hub.comments[-1]["body"] == BODY and hub.writes == ["POST"]


@pytest.mark.parametrize("author", [BOT, MEMBER])
def test_of_several_the_oldest_stays_and_the_others_go(hub: GitHub, author: dict[str, Any]) -> None:
    first, others = hub.add(f"{MARKER}\n1", author), [hub.add(f"{MARKER}\n{n}", author) for n in (2, 3)]
    assert write() == "the comment was renewed, 2 more of its kind removed"
    assert hub.comments == [first] and first["body"] == BODY and others


def test_two_runs_at_the_same_time_leave_one_comment(hub: GitHub) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(method: str) -> None:  # both have looked and found nothing before either writes
        if method == "POST":
            both.wait()

    hub.before = meet
    runs = [threading.Thread(target=write, kwargs={"body": f"{MARKER}\nof run {n}\n"}) for n in (1, 2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(20)
    left = [one for one in hub.comments if one["body"].startswith(MARKER)]
    assert len(left) == 1 and hub.writes.count("POST") == 2


def test_a_comment_that_is_removed_meanwhile_is_written_anew(hub: GitHub) -> None:
    hub.add(f"{MARKER}\nold")

    def remove(method: str) -> None:
        if method == "PATCH":
            hub.comments.clear()

    hub.before = remove
    write()
    assert [one["body"] for one in hub.comments] == [BODY]


# answers that are none


@pytest.mark.parametrize(
    ("status", "headers"),
    [(500, {}), (502, {}), (503, {}), (403, {"Retry-After": "1"}), (429, {}), (429, {"Retry-After": "2"}),
     (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 5)})],
)  # fmt: skip
def test_a_busy_api_is_asked_again(hub: GitHub, status: int, headers: dict[str, str]) -> None:
    hub.answers = [(status, headers, "slow down")] * 2
    write()
    assert [one["body"] for one in hub.comments] == [BODY]


@pytest.mark.parametrize(
    ("status", "headers", "said", "remedy"),
    [
        (403, {}, "Resource not accessible by integration", "pull-requests: write"),
        (404, {}, "Not Found", "--pull"),
        (401, {}, "Bad credentials", "github.token"),
        (410, {}, "Issues are disabled", "comments"),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, "API rate limit exceeded", "later"),
        (403, {"Retry-After": "3600"}, "secondary rate limit", "later"),
    ],
)
def test_a_refusal_says_why_and_what_to_do_and_is_not_repeated(
    hub: GitHub, status: int, headers: dict[str, str], said: str, remedy: str
) -> None:
    hub.answers = [(status, headers, said)] * 9
    with pytest.raises(Failure) as caught:
        write()
    assert str(status) in caught.value.what and said in caught.value.why and remedy in caught.value.remedy
    assert len(hub.requests) == 1 and TOKEN not in str(caught.value)


def test_an_api_that_stays_busy_or_is_not_there_ends_in_a_failure(hub: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.answers = [(503, {}, "")] * 9
    with pytest.raises(Failure, match="503"):
        write()
    assert len(hub.requests) == github.TRIES
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    with pytest.raises(Failure, match="does not answer"):
        write()


# the verb


def document(folder: Path, made: Preview) -> str:
    file = folder / f"preview-{made.stack}.json"
    file.write_text(json.dumps(changes.document(made)))
    return str(file)


def test_the_verb_writes_one_comment_for_all_environments(hub: GitHub, tmp_path: Path) -> None:
    made = [previewed("memory"), previewed("labels")]
    done = CliRunner().invoke(cli.app, ["comment", *(document(tmp_path, one) for one in made)])
    assert done.exit_code == 0, done.output
    (one,) = hub.comments
    assert one["body"] == render(made, "https://github.com/acme/nexus/actions/runs/42")


def test_a_preview_that_was_never_written_is_said_to_have_failed(hub: GitHub, tmp_path: Path) -> None:
    empty = tmp_path / "preview-prod.json"
    empty.touch()
    done = CliRunner().invoke(cli.app, ["comment", str(tmp_path / "preview-dev.json"), str(empty)])
    assert done.exit_code == 0, done.output
    assert "### `dev`: no preview" in hub.comments[0]["body"] and "### `prod`: no preview" in hub.comments[0]["body"]


def test_a_dry_run_prints_and_asks_nobody(hub: GitHub, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["comment", document(tmp_path, previewed("memory")), "--dry-run"])
    assert done.stdout.startswith(MARKER) and hub.requests == []


def test_where_to_write_can_be_said(hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_EVENT_PATH", "GITHUB_TOKEN"):
        monkeypatch.delenv(name)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("GITHUB_TOKEN_FILE", str(token))
    where = ["--repository", "acme/nexus", "--pull", "7"]
    done = CliRunner().invoke(cli.app, ["comment", document(tmp_path, previewed("memory")), *where])
    assert done.exit_code == 0 and len(hub.comments) == 1


@pytest.mark.parametrize(
    ("missing", "told"),
    [("GITHUB_TOKEN", "no token"), ("GITHUB_REPOSITORY", "OWNER/NAME"), ("GITHUB_EVENT_PATH", "which pull request")],
)
def test_what_is_missing_is_named(
    hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, told: str
) -> None:
    monkeypatch.delenv(missing)
    done = CliRunner().invoke(cli.app, ["comment", document(tmp_path, previewed("memory"))])
    assert done.exit_code == BAD_INPUT and told in done.stderr and hub.requests == []
