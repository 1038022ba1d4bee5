"""Discovery as the platform declares it, on a real engine: an environment's tokens, and their rotation."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra import images
from ops import artifacts, credentials, image_builder, objects, pulumi_cli
from ops.paths import ROOT
from ops.workspace import Workspace
from tests.plugins.test_pulumi import Stack
from tests.ports import free_port

pytestmark = pytest.mark.engine
PROGRAM = Path(__file__).with_name("discovery")
STACK = f"test-discovery-{free_port()}"


class Place:
    """The stack, and Consul asked from the host."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack, self.url = stack, f"http://127.0.0.1:{port}/v1"

    def token(self, name: str) -> str:
        return self.stack.run("stack", "output", name, "--show-secrets").strip()

    def ask(self, path: str, token: str) -> httpx.Response:
        return httpx.get(self.url + path, headers={"X-Consul-Token": token}, timeout=10, trust_env=False)

    def passing(self, service: str, token: str) -> list[str]:
        found = self.ask(f"/health/service/{service}?passing", token).raise_for_status().json()
        return [entry["Service"]["Address"] or entry["Node"]["Address"] for entry in found]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, binaries: dict[str, Path]) -> Iterator[Place]:
    toolchain = pulumi_cli.ensure("local", lambda _line: None)
    image_builder.ensure(["consul", "consul-esm"], images.LOCAL, lambda _line: None)
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    plugins = {
        "consul": binaries["consul"],
        "docker": artifacts.build("pulumi-resource-docker", lambda _line: None),
        "nexus": ROOT / "plugins" / "nexus" / "pulumi-resource-nexus",
    }
    stack = Stack(folder, toolchain, plugins)
    stack.env["PYTHONPATH"] = str(ROOT)
    port = free_port()
    stack.run("stack", "init", STACK)
    stack.config(port=port, generation=0, memory=128, late="false")
    try:
        stack.up()
        yield Place(stack, port)
    finally:
        stack.run("destroy", "--yes", "--skip-preview")
    with objects.connect() as client:
        left = client.containers.list(all=True, filters={"label": f"nexus.stack={STACK}"})
        assert [container.name for container in left] == []


def test_each_instance_is_found_and_lost_by_itself(place: Place) -> None:
    end = time.monotonic() + 20
    while place.passing("web", place.token("management")) != ["consul"]:
        assert time.monotonic() < end, "of two instances one answers"
        time.sleep(0.2)
    assert len(place.ask("/catalog/service/web", place.token("management")).json()) == 2


def test_a_second_preview_is_empty_even_after_a_refresh(place: Place) -> None:
    assert place.stack.steps() == {}
    assert place.stack.steps("--refresh") == {}


def test_no_token_is_plain_in_the_state_or_readable_from_the_engine(place: Place) -> None:
    secrets = [place.token("management"), place.token("reader")]
    state = place.stack.run("stack", "export")
    with objects.connect() as client:
        shown = [str(c.attrs) for c in client.containers.list(filters={"label": f"nexus.stack={STACK}"})]
    assert len(shown) == 2
    for text in (state, *shown):
        assert not any(secret in text for secret in secrets)


def test_a_verb_finds_how_to_ask_consul_in_the_state(place: Place) -> None:
    space = Workspace(STACK, place.stack.pulumi, place.stack.env, place.stack.folder)
    access = credentials.of(space).access("consul")
    assert f"{access.address}/v1" == place.url
    assert access.token == place.token("management")


def test_another_grant_restarts_nothing(place: Place) -> None:
    place.stack.config(late="true")
    wanted = place.stack.steps()
    assert not [urn for urn in wanted if "Container::" in urn], wanted
    place.stack.up()
    assert place.ask("/agent/metrics", place.token("late")).status_code == 200
    assert place.stack.steps() == {}


def test_another_memory_limit_changes_the_server_alone(place: Place) -> None:
    place.stack.config(memory=160)
    assert list(place.stack.steps()) == ["nexus:index:Consul$docker:index/container:Container::consul-server"]
    place.stack.up()
    assert place.stack.steps() == {}


def test_a_rotation_locks_nobody_out(place: Place) -> None:
    holders = ("management", "reader", "consul-esm")
    before = {holder: place.token(holder) for holder in holders}
    place.stack.config(generation=1)
    place.stack.up()
    for holder in holders:
        assert place.token(holder) != before[holder]
        assert place.ask("/acl/token/self", place.token(holder)).status_code == 200, holder
        assert place.ask("/acl/token/self", before[holder]).status_code == 403, holder
    end = time.monotonic() + 20
    while not place.passing("consul-esm", place.token("reader")):
        assert time.monotonic() < end, "the monitor goes on with its new token"
        time.sleep(0.2)
    assert place.stack.steps() == {}
