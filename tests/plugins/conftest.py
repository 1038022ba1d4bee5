"""Servers, plugin processes and the binaries of both. `--plugin-binary kong=/path` puts another plugin to the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from infra import images
from ops import artifacts, image_builder
from ops.paths import ROOT
from tests.plugins import driver, servers

PACKAGES = ("kong", "consul", "vault")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--plugin-binary",
        action="append",
        default=[],
        metavar="PACKAGE=PATH",
        help="plugin binary to test in the place of this project's, such as an official build",
    )


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The binary of each package, by the name it must be called as."""
    folder = tmp_path_factory.mktemp("binaries")
    built = folder / "plugins"
    subprocess.run(["go", "build", "-o", str(built), "."], cwd=ROOT / "offline" / "plugins", check=True)
    found = {}
    for package in PACKAGES:
        found[package] = folder / f"pulumi-resource-{package}"
        found[package].symlink_to(built)
    given = [f"{p}={os.environ[name]}" for p in PACKAGES if (name := f"NEXUS_PLUGIN_{p.upper()}") in os.environ]
    for option in [*given, *pytestconfig.getoption("--plugin-binary", [])]:
        package, _, path = option.partition("=")
        found[package] = Path(path)
    return found


def _server_binary(name: str) -> Path:
    """A server's own binary: compiled from its pinned source unless the environment names one."""
    given = os.environ.get(f"NEXUS_TEST_{name.upper().replace('-', '_')}")
    return Path(given) if given else artifacts.build(name, lambda _line: None)


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.consul(_server_binary("consul"), tmp_path_factory.mktemp("consul")) as server:
        yield server


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.vault(_server_binary("vault"), tmp_path_factory.mktemp("vault")) as server:
        yield server


@pytest.fixture(scope="session")
def kong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.kong(_server_binary("kong-standin"), tmp_path_factory.mktemp("kong")) as server:
        yield server


#: Provider configuration for a server.
CONFIG: dict[str, Callable[[servers.Server], dict[str, str]]] = {
    "kong": lambda server: {"kongAdminUri": f"http://{server.address}"},
    "consul": lambda server: {"address": server.address, "scheme": "http", "token": server.token},
    "vault": lambda server: {"address": f"http://{server.address}", "token": server.token},
}


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest, binaries: dict[str, Path]) -> Iterator[Callable[[str], Bench]]:
    """A configured plugin with its server, by package; each is started once."""
    started: dict[str, Bench] = {}
    with ExitStack() as stack:

        def get(package: str) -> Bench:
            if package not in started:
                server = request.getfixturevalue(package)
                stub = stack.enter_context(driver.started(binaries[package]))
                plugin = driver.configured(stub, package, CONFIG[package](server))
                started[package] = Bench(plugin, server)
            return started[package]

        yield get


class Bench:
    """What a test works with."""

    def __init__(self, plugin: driver.Plugin, server: servers.Server):
        self.plugin, self.server = plugin, server


@pytest.fixture(scope="module")
def importable() -> Iterator[None]:
    """The local provider's modules: a program in a folder of its own, not a package."""
    sys.path.insert(0, str(ROOT / "plugins" / "nexus"))
    yield
    sys.path.remove(str(ROOT / "plugins" / "nexus"))


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture(scope="session")
def image() -> str:
    """The image with the least in it."""
    image_builder.ensure(["base"], images.LOCAL, lambda _: None)
    return images.reference("base", images.LOCAL)
