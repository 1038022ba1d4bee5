from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import estate as estates
from tests.services import servers


@dataclass
class Backing:
    """The two servers all tests of a run share; a test that stops one starts it again."""

    postgres: servers.Server
    redis: servers.Server


@pytest.fixture(scope="session")
def _servers() -> Iterator[Backing]:
    servers.install_missing()
    # Not pytest's own directory: that one is closed to the plain user the servers run as.
    directory = Path(tempfile.mkdtemp(prefix="nexus-services-"))
    directory.chmod(0o777)
    backing = Backing(servers.postgres(directory), servers.redis(directory))
    try:
        backing.postgres.start()
        backing.redis.start()
        asyncio.run(servers.migrate(backing.postgres))
        yield backing
    finally:
        backing.redis.stop()
        backing.postgres.stop()
        servers.remove(directory)


@pytest.fixture
def backing(_servers: Backing) -> Iterator[Backing]:
    yield _servers
    for server in (_servers.postgres, _servers.redis):
        if server.process is None:
            server.start()
        server.wake()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., servers.Service]]:
    """Start services that are stopped after the test."""
    started: list[servers.Service] = []

    def start(settings: dict[str, str]) -> servers.Service:
        service = servers.Service(settings, tmp_path)
        started.append(service)
        return service.start()

    yield start
    for service in started:
        service.stop()


@pytest.fixture
def service(backing: Backing, run: Callable[..., servers.Service], tmp_path: Path) -> servers.Service:
    """A service connected to both servers, and ready."""
    service = run(servers.environment(tmp_path, backing.postgres.port, backing.redis.port))
    servers.eventually(lambda: service.status("/ready") == 200, 5, "ready")
    return service


@pytest.fixture(scope="session")
def _steady(_servers: Backing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Service]:
    directory = tmp_path_factory.mktemp("steady")
    service = servers.Service(
        servers.environment(directory, _servers.postgres.port, _servers.redis.port), directory
    ).start()
    yield service
    service.stop()


@pytest.fixture
def steady(_steady: servers.Service, backing: Backing) -> servers.Service:
    """A ready service that tests share, which neither stop it nor count what it did."""
    servers.eventually(lambda: _steady.status("/ready") == 200, 5, "ready")
    return _steady


@pytest.fixture(scope="session")
def _estate(_servers: Backing) -> Iterator[estates.Estate]:
    directory = Path(tempfile.mkdtemp(prefix="nexus-estate-"))
    directory.chmod(0o755)
    made = estates.Estate(directory, _servers.postgres)
    try:
        asyncio.run(made.databases())
        made.start()
        yield made
    finally:
        made.stop()
        servers.remove(directory)


@pytest.fixture
def estate(_estate: estates.Estate, backing: Backing) -> estates.Estate:
    """All the platform's servers, as the components set them up."""
    return _estate


@pytest.fixture
def member(estate: estates.Estate, run: Callable[..., servers.Service]) -> Callable[..., servers.Service]:
    """Start services of the estate, listed in Consul and ready."""

    def start(name: str, ready: bool = True, **more: str) -> servers.Service:
        service = run(estate.environment(name, **more))
        estate.announce(name, service.port)
        if ready:
            servers.eventually(lambda: service.status("/ready") == 200, 20, f"{name} is ready: {service.output}")
        return service

    return start
