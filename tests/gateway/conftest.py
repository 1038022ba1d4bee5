"""A gateway with Redis and services behind it, configured by the project's components through the real engine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from components.kong import ADMIN_USER
from ops import artifacts, pulumi_cli
from ops.paths import ROOT
from tests.plugins.test_pulumi import Stack
from tests.ports import free_port
from tests.standins.credentials import public_pem
from tests.standins.echo import Echo
from tests.standins.gateway import Gateway, eventually
from tests.standins.redis import PASSWORD, Counters

PROGRAM = Path(__file__).with_name("program")
HOSTS = ("127.0.0.1", "127.0.0.2")
SETTINGS = {"KONG_NGINX_HTTP_LUA_SHARED_DICT": "gateway_responses 16m"}
#: What the gateway agent keeps at the gateway: the key of each role, under an id of its own.
LEASES = {"user": "5d2e51ab-9b0e-4f4e-8f0e-000000000001", "admin": "5d2e51ab-9b0e-4f4e-8f0e-000000000002"}


@dataclass
class World:
    """Everything that a test looks at; ``services`` has the instances of each service."""

    gateway: Gateway
    counters: Counters
    services: dict[str, tuple[Echo, ...]]
    stack: Stack


def _stack(folder: Path) -> Stack:
    folder.mkdir()
    plugin = folder / "pulumi-resource-kong"
    plugin.symlink_to(artifacts.build("provider-plugins", lambda _line: None))
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    project["plugins"] = {"providers": [{"name": "nexus", "path": str(ROOT / "plugins" / "nexus")}]}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    stack = Stack(folder, pulumi_cli.ensure("local", lambda _line: None), {"kong": plugin})
    stack.env |= {"PYTHONPATH": str(ROOT), "VIRTUAL_ENV": sys.prefix, "LANG": os.environ.get("LANG", "C.UTF-8")}
    return stack


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gateway")
    with ExitStack() as ends:
        users = folder / "users"
        users.write_text(f"{ADMIN_USER}:{{PLAIN}}{PASSWORD}\n")
        guard = {"KONG_NGINX_ADMIN_AUTH_BASIC": "kong", "KONG_NGINX_ADMIN_AUTH_BASIC_USER_FILE": str(users)}
        gateway = Gateway(artifacts.build("kong-standin", lambda _line: None), folder, **SETTINGS, **guard)
        gateway.admin.auth = (ADMIN_USER, PASSWORD)
        ends.callback(gateway.close)
        gateway.start()
        counters = Counters(tmp_path_factory.mktemp("redis"))
        ends.callback(counters.stop)
        services = {}
        for name in ("open", "team", "busy"):
            port = free_port()
            services[name] = tuple(Echo(port, f"{name}-{number}", host) for number, host in enumerate(HOSTS, start=1))
            for echo in services[name]:
                ends.callback(echo.close)
        world = World(gateway, counters, services, _stack(folder / "stack"))
        _declare(world)
        ends.callback(world.stack.run, "destroy", "--yes", "--skip-preview")
        yield world


def _declare(world: World) -> None:
    stack = world.stack
    stack.run("stack", "init", "test")
    values = {"admin": f"http://127.0.0.1:{world.gateway.admin_port}", "redis": world.counters.port, "minute": 5}
    for name, value in {**values, **{name: echoes[0].port for name, echoes in world.services.items()}}.items():
        stack.run("config", "set", f"gateway:{name}", str(value))
    stack.run("config", "set", "--secret", "gateway:password", PASSWORD)
    stack.up()
    for role, lease in LEASES.items():
        key = {"key": f"{role}:v1", "algorithm": "RS256", "rsa_public_key": public_pem("RS256")}
        assert world.gateway.admin.put(f"/consumers/role-{role}/jwt/{lease}", json=key).status_code == 200
    eventually(lambda: all(echo.probes for echoes in world.services.values() for echo in echoes))
