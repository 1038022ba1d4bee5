"""State in PostgreSQL: bootstrapping, restarts, several nodes, and a database that goes away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.standins.database import PASSWORD, Database
from tests.standins.echo import Echo
from tests.standins.entities import route
from tests.standins.gateway import Gateway, eventually

Start = Callable[[], Gateway]


@pytest.fixture
def node(kong_binary: Path, database: Database, tmp_path: Path) -> Iterator[Start]:
    """Makes gateways on the database; the first call bootstraps it."""
    gateways: list[Gateway] = []

    def make() -> Gateway:
        folder = tmp_path / f"node{len(gateways)}"
        folder.mkdir()
        gateways.append(Gateway(kong_binary, folder, **database.settings))
        assert gateways[-1].command("migrations", "bootstrap").returncode == 0
        return gateways[-1].start()

    yield make
    for gateway in gateways:
        gateway.close()


def test_migrations_exit_as_the_originals_do(kong_binary: Path, database: Database, tmp_path: Path) -> None:
    gateway = Gateway(kong_binary, tmp_path, **database.settings)
    assert gateway.command("migrations", "list").returncode == 3
    assert gateway.command("migrations", "up").returncode == 1
    first = gateway.command("migrations", "bootstrap")
    assert (first.returncode, first.stdout) == (0, "Bootstrapping database...\nDatabase is up-to-date\n")
    again = gateway.command("migrations", "bootstrap")
    assert (again.returncode, again.stdout) == (0, "Database already bootstrapped\n")
    assert gateway.command("migrations", "up").stdout == "Database is already up-to-date\n"
    assert gateway.command("migrations", "finish").stdout == "No pending migrations to finish\n"
    assert gateway.command("migrations", "list").returncode == 0
    assert gateway.command("migrations", "reset").returncode == 1
    assert gateway.command("migrations", "reset", "--yes").returncode == 0
    gateway.close()


def test_a_database_that_is_not_bootstrapped_ends_the_start(
    kong_binary: Path, database: Database, tmp_path: Path
) -> None:
    gateway = Gateway(kong_binary, tmp_path, **database.settings)
    answer = gateway.command("docker-start")
    assert (answer.returncode, "kong migrations bootstrap" in answer.stderr) == (1, True)
    assert PASSWORD not in answer.stdout + answer.stderr
    gateway.close()


def test_entities_survive_a_kill(node: Start, echo: Callable[[str], Echo]) -> None:
    server = echo("a")
    gateway = node()
    service = gateway.post("/services", name="svc", host="127.0.0.1", port=server.port, tags=["ü", "b"])
    gateway.post("/services/svc/routes", paths=["/"], headers={"x-a": ["1"]})
    gateway.post("/plugins", name="correlation-id", config={"echo_downstream": True})
    gateway.post("/consumers", username="ann")
    key = gateway.post("/consumers/ann/key-auth")
    kinds = ("services", "routes", "plugins", "consumers", "key-auths")
    before = {kind: gateway.admin.get(f"/{kind}").json() for kind in kinds}
    gateway.kill()
    gateway.start()
    assert {kind: gateway.admin.get(f"/{kind}").json() for kind in kinds} == before
    assert gateway.admin.get("/services/svc").json() == service
    assert gateway.admin.get(f"/key-auths/{key['key']}").json() == key
    answer = gateway.proxy.get("/", headers={"x-a": "1"})
    assert (answer.status_code, "kong-request-id" in answer.headers) == (200, True)


def test_removed_entities_stay_removed(node: Start) -> None:
    gateway = node()
    gateway.post("/upstreams", name="pool")
    gateway.post("/upstreams/pool/targets", target="a:1")
    gateway.admin.delete("/upstreams/pool")
    gateway.stop()
    gateway.start()
    assert gateway.admin.get("/upstreams").json()["data"] == gateway.admin.get("/targets").json()["data"] == []


def test_two_nodes_see_each_other_and_keep_names_unique(node: Start) -> None:
    first, second = node(), node()
    first.post("/services", name="svc", host="a")
    # A write looks at the newest state, even before this node has caught up.
    assert second.admin.post("/services", json={"name": "svc", "host": "b"}).status_code == 409
    second.post("/services", name="other", host="b")
    eventually(lambda: first.admin.get("/services/other").status_code == 200, 10)


def test_without_its_database_the_gateway_serves_on(
    node: Start, database: Database, echo: Callable[[str], Echo]
) -> None:
    gateway = node()
    route(gateway, echo("a"))
    database.stop()
    try:
        refused = gateway.admin.post("/services", json={"name": "x", "host": "a"})
        assert (refused.status_code, refused.json()) == (500, {"message": "An unexpected error occurred"})
        assert gateway.admin.get("/status").json()["database"] == {"reachable": False}
        assert gateway.proxy.get("/").status_code == 200
        assert gateway.command("health").returncode == 0
    finally:
        database.start()
    eventually(lambda: gateway.admin.post("/services", json={"name": "x", "host": "a"}).status_code == 201, 10)
    assert gateway.admin.get("/status").json()["database"] == {"reachable": True}


def test_a_reload_takes_the_new_password_and_refuses_nobody(
    node: Start, database: Database, echo: Callable[[str], Echo]
) -> None:
    gateway = node()
    route(gateway, echo("a"))
    process = gateway.process
    with database.another_password("an'other \\ one"):
        assert gateway.admin.post("/services", json={"name": "x", "host": "a"}).status_code == 500, "it has the old one"
        assert gateway.command("reload").returncode == 0
        assert gateway.proxy.get("/").status_code == 200
        eventually(lambda: gateway.admin.post("/services", json={"name": "x", "host": "a"}).status_code == 201, 10)
        gateway.command("reload")
        assert gateway.admin.get("/services/x").status_code == 200
    assert gateway.process is process and process is not None and process.poll() is None
    assert (gateway.folder / "prefix" / ".kong_env").stat().st_mode & 0o77 == 0
    stopped = gateway.stop()
    assert (stopped, gateway.command("reload").returncode) == (0, 1)


def test_a_start_waits_for_the_database(node: Start, database: Database) -> None:
    gateway = node()
    gateway.stop()
    database.stop()
    later = threading.Timer(1.0, database.start)
    later.start()
    try:
        gateway.start()
        assert gateway.admin.get("/services").status_code == 200
    finally:
        later.join()
