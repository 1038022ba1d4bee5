"""PostgreSQL and its pooler as the platform runs them: who reaches what, and what a restart costs."""

from __future__ import annotations

import time

import pytest

from components._postgres import Database
from components.pgbouncer import RESET
from infra import images
from tests.images import data
from tests.images.conftest import Under

pytestmark = pytest.mark.engine

USERS, AUDIT = Database(name="users", owner="users"), Database(name="audit", owner="audit")
KONG = Database(name="kong", owner="kong", login=True)


@pytest.fixture(scope="module")
def sql(engine, image):
    held = Under(engine)
    try:
        made = data.sql(held, image, USERS, AUDIT, KONG)
        made.lend("v-users-1", "one", "users")
        yield made
    finally:
        held.remove()


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
def test_a_service_works_as_its_owner_and_reaches_no_other_database(sql, pooled):
    me = ("v-users-1", "one")
    assert sql.ask(*me, "users", "SELECT current_user, session_user", pooled) == (0, "users|v-users-1")
    assert sql.ask(*me, "users", f"CREATE TABLE made_{pooled} AS SELECT 1 AS n", pooled)[0] == 0
    owner = f"SELECT tableowner FROM pg_tables WHERE tablename = lower('made_{pooled}')"
    assert sql.ask(*me, "users", owner, pooled) == (0, "users")
    for other in ("audit", "kong", "postgres", "template1"):
        code, text = sql.ask(*me, other, "SELECT 1", pooled)
        assert code != 0, f"{other} let it in"
        assert pooled or "permission denied for database" in text
    assert "permission denied to set role" in sql.ask(*me, "users", "SET ROLE audit", pooled)[1]
    assert sql.ask("v-users-1", "wrong", "users", "SELECT 1", pooled)[0] != 0


def test_owners_do_not_log_in_but_a_program_with_one_login_does(sql):
    assert sql.ask("users", "", "users", "SELECT 1")[0] != 0
    assert sql.ask("kong", data.PASSWORDS["kong"], "kong", "CREATE TABLE k (n int)") == (0, "")
    assert sql.ask("kong", data.PASSWORDS["kong"], "users", "SELECT 1")[0] != 0


def test_the_pooler_may_look_up_services_and_nothing_else(sql):
    pooler = ("pooler", data.PASSWORDS["pooler"], "users")
    assert sql.ask(*pooler, "SELECT login FROM pooler.lookup('v-users-1')") == (0, "v-users-1")
    for login in ("postgres", "vault", "migrator", "pooler", "kong", "nobody"):
        assert sql.ask(*pooler, f"SELECT login FROM pooler.lookup('{login}')") == (0, ""), login
    assert sql.ask("v-users-1", "one", "users", "CREATE TABLE private (n int)") == (0, "")
    assert "permission denied" in sql.ask(*pooler, "SELECT * FROM private")[1]
    assert "permission denied" in sql.ask("v-users-1", "one", "users", "SELECT pooler.lookup('v-users-1')")[1]


@pytest.mark.parametrize("login", ["vault", "migrator", "postgres"])
def test_the_platforms_own_logins_do_not_come_through_the_pooler(sql, login):
    assert sql.ask(login, data.PASSWORDS.get(login, "super"), "users", "SELECT 1", True)[0] != 0


def test_vault_makes_and_removes_logins_without_reading_what_services_store(sql):
    vault = ("vault", data.PASSWORDS["vault"])
    assert "permission denied" in sql.ask(*vault, "users", "SELECT 1")[1]
    sql.lend("v-users-2", "two", "users")
    assert sql.ask("v-users-2", "two", "users", "SELECT 1", True) == (0, "1")
    assert sql.ask(*vault, "postgres", 'DROP ROLE "v-users-2"') == (0, "")
    assert sql.ask("v-users-2", "two", "users", "SELECT 1", True)[0] != 0


def test_a_pooled_connection_is_given_on_as_a_new_one(sql):
    me = ("v-users-1", "one", "users")
    left = "SET ROLE \"v-users-1\"; SET work_mem = '7MB'; CREATE TEMP TABLE left_over (n int); SELECT pg_backend_pid()"
    pid = sql.ask(*me, left, True)[1]
    seen = "SELECT current_user, current_setting('work_mem'), to_regclass('left_over') IS NULL, pg_backend_pid()"
    assert sql.ask(*me, seen, True) == (0, f"users|1MB|t|{pid}"), RESET


def test_what_is_provisioned_again_is_as_before_and_a_changed_password_takes_effect(sql, monkeypatch):
    sql.provision()
    assert sql.ask("v-users-1", "one", "users", "SELECT current_user") == (0, "users")
    with monkeypatch.context() as changed:
        changed.setitem(data.PASSWORDS, "kong", "changed")
        sql.provision()
        assert sql.ask("kong", "changed", "kong", "SELECT 1") == (0, "1")
        assert sql.ask("kong", "kong-password", "kong", "SELECT 1")[0] != 0
    sql.provision()
    assert sql.ask("kong", "kong-password", "kong", "SELECT 1") == (0, "1")
    log = sql.server.logs().decode()
    assert not [word for word in (*data.PASSWORDS.values(), "super") if word in log]


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_a_restart_loses_no_committed_row_and_heals_by_itself(sql, end):
    me, kept = ("v-users-1", "one", "users"), f"kept_{end}"
    assert sql.ask(*me, f"CREATE TABLE {kept} (n int)", True)[0] == 0
    for n in range(20):
        assert sql.ask(*me, f"INSERT INTO {kept} VALUES ({n})", True)[0] == 0
    started = time.monotonic()
    if end == "kill":
        sql.server.kill()
        sql.server.start()
    else:
        sql.server.restart()
    while sql.ask(*me, f"SELECT count(*) FROM {kept}", True) != (0, "20"):
        assert time.monotonic() - started < 30
        time.sleep(0.1)


def test_the_health_check_of_the_pooler_leaves_no_line_in_its_log(sql, under):
    def of_clients():
        return [line for line in sql.pooler.logs().splitlines() if b" C-" in line]

    before = of_clients()
    for _ in range(3):
        assert under.ask(sql.pooler, images.contract("pgbouncer").health)[0] == 0
    assert of_clients() == before
