from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oidc import Oidc
from tests.services.auth import world as parts
from tests.services.conftest import Backing


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Vault]:
    server = parts.Vault(tmp_path_factory.mktemp("vault"))
    parts.prepare(server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def world(vault: parts.Vault, _servers: Backing, tmp_path_factory: pytest.TempPathFactory) -> parts.World:
    return parts.World(vault, _servers.postgres, _servers.redis, tmp_path_factory.mktemp("auth"))


@pytest.fixture(scope="session")
def provider(world: parts.World) -> Iterator[parts.Provider]:
    """One that tests share; what they change they change back."""
    started = parts.Provider(world.environment(), world.directory).begin()
    yield started
    started.stop()


@pytest.fixture
def own(world: parts.World, tmp_path: Path) -> Iterator[parts.Provider]:
    """One for a test alone."""
    started = parts.Provider(world.environment(), tmp_path).begin()
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while parts.OPENED:
        parts.OPENED.pop().close()


@pytest.fixture
def cli(provider: parts.Provider) -> Oidc:
    return provider.client()


@pytest.fixture
def web(provider: parts.Provider) -> Oidc:
    return provider.web()
