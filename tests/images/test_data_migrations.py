"""Migrations of real databases, by the login that has nothing but the owners' rights."""

from __future__ import annotations

import asyncio
import time

import pytest

from components._postgres import Database
from services.migrations import histories, runner
from services.migrations.histories import Step
from services.migrations.settings import Settings, Target
from tests.images import data
from tests.images.conftest import Under

pytestmark = pytest.mark.engine
NAMES = [f"d{n}" for n in range(20)]


@pytest.fixture(scope="module")
def sql(engine, image):
    held = Under(engine)
    try:
        yield data.sql(held, image, *(Database(name=name, owner=name) for name in NAMES))
    finally:
        held.remove()


@pytest.fixture
def settings(sql, tmp_path):
    password = tmp_path / "password"
    password.write_text(data.PASSWORDS["migrator"])

    def made(*targets: Target) -> Settings:
        return Settings(
            migrations=targets,
            postgres_host="127.0.0.1",
            postgres_port=data.port_of(sql.server, 5432),
            postgres_password_file=password,
        )

    return made


def target(name: str, **more: object) -> Target:
    return Target.model_validate({"database": name, "owner": name, "history": "items", **more})


def inside(sql, database: str, statement: str) -> str:
    argv = ["psql", "-U", "postgres", "-d", database, "-qtAc", statement]
    return sql.under.ask(sql.server, argv)[1].strip()


async def test_twenty_databases_are_brought_up_to_date_in_seconds_and_then_left_alone(sql, settings):
    everything = settings(*(target(name) for name in NAMES[:18]))
    started = time.monotonic()
    planned = await runner.run(everything, check=True)
    assert {outcome.applied for outcome in planned} == {("0001",)}
    assert inside(sql, "d0", "SELECT to_regclass('items') IS NULL") == "t"
    done = await runner.run(everything)
    assert {(outcome.applied, outcome.at) for outcome in done} == {(("0001",), "0001")}
    again = await runner.run(everything)
    assert {outcome.applied for outcome in again} == {()}
    assert time.monotonic() - started < 9
    assert inside(sql, "d0", "SELECT tableowner FROM pg_tables WHERE tablename = 'items'") == "d0"


async def test_a_table_from_before_there_were_versions_is_taken_over_with_its_rows(sql, settings):
    old = "CREATE TABLE items (id uuid PRIMARY KEY, name text NOT NULL, value text NOT NULL, created_at timestamptz)"
    assert "CREATE" in inside(sql, "d18", f"SET ROLE d18; {old}; SELECT 'CREATE'")
    inside(sql, "d18", "INSERT INTO items VALUES (gen_random_uuid(), 'kept', '')")
    (done,) = await runner.run(settings(target("d18")))
    assert done.applied == ("0001",)
    assert inside(sql, "d18", "SELECT name FROM items") == "kept"


async def test_two_runs_at_once_do_it_once(sql, settings):
    wanted = settings(target("d19", history="events"))
    both = await asyncio.gather(runner.run(wanted), runner.run(wanted))
    assert sorted(outcome.applied for (outcome,) in both) == [(), ("0001",)]


async def test_a_revision_that_fails_is_taken_back_and_named(sql, settings, monkeypatch):
    await runner.run(settings(target("d1")))
    broken = Step("0002", "CREATE TABLE half (n int); INSERT INTO nowhere VALUES (1);", "")
    monkeypatch.setattr(histories, "steps", lambda history, current: (broken,))
    (failure,) = await runner.run(settings(target("d1")))
    assert isinstance(failure, runner.RefusedError)
    assert "database d1: revision '0002' of 'items' failed and was taken back" in str(failure)
    assert "nowhere" in str(failure)
    assert inside(sql, "d1", "SELECT to_regclass('half') IS NULL") == "t"


async def test_one_failure_keeps_no_other_database_from_its_schema(sql, settings):
    wrong, right = await runner.run(settings(target("d2", owner="d3"), target("d3")))
    assert isinstance(wrong, Exception) and isinstance(right, runner.Outcome)


async def test_a_server_that_is_starting_is_waited_for(sql, settings):
    wanted = settings(target("d4"))
    await asyncio.to_thread(sql.server.stop)
    waiting = asyncio.create_task(runner.run(wanted))
    await asyncio.sleep(1)
    await asyncio.to_thread(sql.server.start)
    (done,) = await waiting
    assert isinstance(done, runner.Outcome), done
