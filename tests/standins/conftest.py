"""The stand-in's binary, running gateways, and upstreams behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops import artifacts
from tests.standins.database import Database
from tests.standins.echo import Echo
from tests.standins.gateway import Gateway, free_port


@pytest.fixture(scope="session")
def kong_binary() -> Path:
    """The stand-in as it is put into its image."""
    return artifacts.build("kong-standin", lambda _line: None)


@pytest.fixture(scope="session")
def shared_kong(kong_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(kong_binary, tmp_path_factory.mktemp("kong"))
    yield gateway.start()
    gateway.close()


@pytest.fixture
def kong(shared_kong: Gateway) -> Iterator[Gateway]:
    """A running gateway without entities, state in memory."""
    yield shared_kong
    shared_kong.clear()


@pytest.fixture
def echo() -> Iterator[Callable[[str], Echo]]:
    """Makes upstream servers by name."""
    servers: list[Echo] = []

    def make(name: str = "echo") -> Echo:
        servers.append(Echo(free_port(), name))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def shared_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("postgres")
    for parent in folder.parents[:2]:  # pytest's own folders are closed to other users
        parent.chmod(0o711)
    server = Database(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database(shared_database: Database, kong_binary: Path, tmp_path: Path) -> Database:
    """A running PostgreSQL whose gateway tables have been removed."""
    Gateway(kong_binary, tmp_path, **shared_database.settings).command("migrations", "reset", "--yes")
    return shared_database
