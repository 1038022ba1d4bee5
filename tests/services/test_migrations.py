"""The histories of the services' schemas, and what a run is told; without a database."""

from __future__ import annotations

import json
import re

import pytest

from services.migrations import histories, runner
from services.migrations.__main__ import main
from services.migrations.histories import Step
from services.migrations.settings import SettingsError, Target, load

TARGET = {"database": "users", "owner": "users", "history": "items"}


def test_there_are_the_histories_that_entries_name() -> None:
    assert {"items", "events", "auth"} <= set(histories.names())


@pytest.mark.parametrize("history", histories.names())
def test_every_revision_notes_itself_and_says_if_it_loses_data(history: str) -> None:
    steps = histories.steps(history, histories.BASE)
    assert steps
    for step in steps:
        assert histories.version_table(history) in step.sql
        assert re.search(rf"'{step.revision}'", step.sql)
        assert not step.unmarked, f"{history} {step.revision} has {step.unmarked}: mark it with `destructive`"
    assert histories.steps(history, steps[-1].revision) == ()


def made(*steps: Step):
    return lambda history, current: steps


@pytest.mark.parametrize(
    ("sql", "loses"),
    [
        ("ALTER TABLE items DROP COLUMN note;", True),
        ("drop table\n items;", True),
        ("TRUNCATE items", True),
        ("DELETE FROM items WHERE true", True),
        ("CREATE TABLE a (b uuid REFERENCES c ON DELETE CASCADE)", False),
        ("DROP INDEX items_name; ALTER TABLE items ALTER note DROP NOT NULL", False),
    ],
)
def test_what_loses_data_without_saying_so_is_refused(monkeypatch: pytest.MonkeyPatch, sql: str, loses: bool) -> None:
    monkeypatch.setattr(histories, "steps", made(Step("0002", sql, "")))
    if not loses:
        assert len(runner.wanted(Target(**TARGET), "0001")) == 1
        return
    with pytest.raises(runner.RefusedError, match="does not say so"):
        runner.wanted(Target(**TARGET, acknowledged=("0002",)), "0001")


def test_what_loses_data_is_done_only_where_it_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "steps", made(Step("0002", "DROP TABLE notes", "drops the table of notes")))
    with pytest.raises(runner.RefusedError) as refused:
        runner.wanted(Target(**TARGET), "0001")
    text = str(refused.value)
    assert "database users" in text and "'0002'" in text and "drops the table of notes" in text
    assert 'set `acknowledged: ["0002"]`' in text
    assert len(runner.wanted(Target(**TARGET, acknowledged=("0002",)), "0001")) == 1


def test_a_database_that_a_newer_version_has_changed_is_left_alone() -> None:
    with pytest.raises(runner.RefusedError, match="does not know: a newer one has been here"):
        runner.wanted(Target(**TARGET), "9999")
    assert runner.wanted(Target(**TARGET, acknowledged=("9999",)), "9999") == (), "knowingly, it is left as it is"


def test_a_history_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(runner.RefusedError, match=r"history 'itmes' is none of .*items"):
        runner.wanted(Target(**{**TARGET, "history": "itmes"}), "base")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "NEXUS_MIGRATIONS"),
        ({"NEXUS_MIGRATIONS": "[{"}, "must be JSON"),
        ({"NEXUS_MIGRATIONS": json.dumps([{**TARGET, "owner": 'x"; --'}])}, "NEXUS_MIGRATIONS.0.OWNER"),
        ({"NEXUS_MIGRATIONS": json.dumps([TARGET, TARGET])}, "users is there more than once"),
        ({"NEXUS_MIGRATIONS": json.dumps([TARGET]), "NEXUS_POSTGRES_PORT": "none"}, "NEXUS_POSTGRES_PORT"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(environment)
    assert says in str(wrong.value)


def test_wrong_settings_end_with_two(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NEXUS_MIGRATIONS", "x")
    assert main([]) == 2
    assert "NEXUS_MIGRATIONS" in capsys.readouterr().err
