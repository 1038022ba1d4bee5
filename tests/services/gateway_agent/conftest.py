from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import _vault_policies as policies
from ops import artifacts
from tests.services.auth import world as parts
from tests.services.conftest import Backing
from tests.services.gateway_agent.world import PASSWORD, Agent, authority, consumers
from tests.standins.gateway import Gateway


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Vault]:
    """As the platform makes it: keys, two authorities, the agent's policy and nothing more."""
    server = parts.Vault(tmp_path_factory.mktemp("vault"))
    server.call("POST", "sys/auth/approle", {"type": "approle"})
    server.call("POST", "sys/mounts/transit", {"type": "transit"})
    server.call("POST", f"transit/keys/{parts.KEY}", {"type": "rsa-2048"})
    own = {"auth/token/renew-self": ("update",), "auth/token/revoke-self": ("update",)}
    server.role("gateway-agent", policies.document({**policies.EXTRA["gateway-agent"], **own}))
    authority(server)
    yield server
    server.stop()


@pytest.fixture
def kong(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with a consumer for each role."""
    gateway = Gateway(artifacts.build("kong-standin", lambda _line: None), tmp_path / "kong")
    (tmp_path / "kong").mkdir()
    users = tmp_path / "admin.htpasswd"
    users.write_text(f"nexus:{{PLAIN}}{PASSWORD}\n")
    gateway.environment |= {
        "KONG_NGINX_ADMIN_AUTH_BASIC": "kong",
        "KONG_NGINX_ADMIN_AUTH_BASIC_USER_FILE": str(users),
    }
    gateway.admin.auth = ("nexus", PASSWORD)
    gateway.start()
    consumers(gateway)
    yield gateway
    gateway.close()


@pytest.fixture
def make(vault: parts.Vault, kong: Gateway, tmp_path: Path) -> Iterator[Callable[[], Agent]]:
    made: list[Agent] = []

    def agent() -> Agent:
        made.append(Agent(vault, kong, tmp_path))
        return made[-1].start()

    yield agent
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.stop()


@pytest.fixture
def world(vault: parts.Vault, _servers: Backing, tmp_path: Path) -> parts.World:
    return parts.World(vault, _servers.postgres, _servers.redis, tmp_path)
