"""The stand-in's binary, running gateways, and upstreams behind them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from infra import images
from ops import artifacts
from tests.standins.database import Database
from tests.standins.echo import Echo
from tests.standins.gateway import Gateway, free_port
from tests.standins.process import Process, Server


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
def shared_database() -> Iterator[Database]:
    # Not pytest's own directory: that one is closed to the plain user the server runs as.
    with tempfile.TemporaryDirectory(prefix="nexus-postgres-") as folder:
        server = Database(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def database(shared_database: Database, kong_binary: Path, tmp_path: Path) -> Database:
    """A running PostgreSQL whose gateway tables have been removed."""
    Gateway(kong_binary, tmp_path, **shared_database.settings).command("migrations", "reset", "--yes")
    return shared_database


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The Docker engine, for the real servers that stand-ins work with."""
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def elastic(engine: Any) -> Iterator[Server]:
    """A real Elasticsearch."""
    java = "-Xms192m -Xmx192m -XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    settings = {"ES_JAVA_OPTS": java, "http.port": "PORT", "network.host": "127.0.0.1", "transport.port": "19400-19500"}
    command = images.contract("elasticsearch").command
    server = Server(engine, "elasticsearch", command, settings, "/_cluster/health?wait_for_status=yellow")
    yield server
    server.close()


@pytest.fixture(scope="session")
def metrics(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prometheus that scrapes itself."""
    flags = ["--config.file=/etc/prometheus/prometheus.yml", "--web.listen-address=127.0.0.1:PORT"]
    server = Server(engine, "prometheus", [*flags, "--storage.tsdb.path=/prometheus"], {}, "/-/ready")
    yield server
    server.close()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """Programs put in here are ended after the test."""
    made: list[Process] = []
    yield made
    for each in made:
        each.close()
