"""The plugins under the real engine, with the SDKs: up, preview, refresh, import, destroy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import pulumi_cli
from tests.plugins.servers import Server

PROGRAM = Path(__file__).with_name("program")
#: Steps that leave everything as it is.
QUIET = ("same", "read", "refresh")


class Stack:
    """A stack of the test program with a state of its own."""

    def __init__(self, folder: Path, toolchain: pulumi_cli.Toolchain, binaries: dict[str, Path]):
        self.folder, self.pulumi = folder, toolchain.pulumi
        tools = [*toolchain.path_entries, Path(sys.executable).parent, *{binary.parent for binary in binaries.values()}]
        self.env = {
            "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_CONFIG_PASSPHRASE": "of the test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def run(self, *argv: str, fails: bool = False) -> str:
        done = subprocess.run(
            [str(self.pulumi), *argv, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert bool(done.returncode) == fails, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr if fails else done.stdout

    def steps(self, *argv: str) -> dict[str, str]:
        """What a preview would do: {type and name: operation}, without what stays the same."""
        document = json.loads(self.run("preview", "--json", *argv))
        operations = {
            step["urn"].split("::", 2)[2]: step["op"] for step in document["steps"] if step["op"] not in QUIET
        }
        return {urn: "replace" if "replace" in op else op for urn, op in operations.items()}

    def config(self, **values: Any) -> None:
        for name, value in values.items():
            self.run("config", "set", f"conformance:{name}", str(value))

    def up(self) -> None:
        self.run("up", "--yes", "--skip-preview")

    def output(self, name: str) -> str:
        return self.run("stack", "output", name).strip()


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, binaries: dict[str, Path], kong: Server, consul: Server
) -> Iterator[Stack]:
    toolchain = pulumi_cli.ensure("local", lambda _line: None)
    folder = tmp_path_factory.mktemp("stack")
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    stack = Stack(folder, toolchain, {package: binaries[package] for package in ("kong", "consul")})
    stack.run("stack", "init", "conformance")
    stack.config(kong=f"http://{kong.address}", consul=consul.address, token=consul.token, port=8000)
    yield stack
    stack.run("destroy", "--yes", "--skip-preview")


@pytest.fixture(autouse=True)
def standing(stack: Stack) -> None:
    """Every test begins with what is declared being there."""
    stack.config(port=8000)
    stack.up()


def test_a_second_preview_is_empty_even_after_a_refresh(stack: Stack) -> None:
    assert stack.steps() == {}
    assert stack.steps("--refresh") == {}


def test_one_changed_setting_changes_what_depends_on_it_and_nothing_else(stack: Stack) -> None:
    stack.config(port=9000)
    assert stack.steps() == {
        "kong:index/service:Service::backend": "update",
        "kong:index/target:Target::backend": "replace",
        "consul:index/service:Service::backend": "update",
        "consul:index/keyPrefix:KeyPrefix::settings": "update",
    }
    stack.up()
    assert stack.steps() == {}


def test_drift_made_by_hand_is_seen_and_repaired(stack: Stack, kong: Server, consul: Server) -> None:
    service = stack.output("service")
    kong.call("PATCH", f"/services/{service}", {"port": 1})
    consul.call("PUT", "/v1/kv/settings/port", "changed")
    seen = stack.steps("--refresh")
    assert {"kong:index/service:Service::backend", "consul:index/keyPrefix:KeyPrefix::settings"} == set(seen)
    stack.run("up", "--yes", "--refresh", "--skip-preview")
    assert kong.call("GET", f"/services/{service}")["port"] == 8000
    assert consul.call("GET", "/v1/kv/settings/port?raw=true") == 8000


def test_objects_deleted_by_hand_are_made_again(stack: Stack, kong: Server, consul: Server) -> None:
    kong.call("DELETE", f"/routes/{stack.output('route')}")
    consul.call("PUT", "/v1/catalog/deregister", {"Node": "outside", "ServiceID": "backend"})
    assert stack.steps("--refresh") == {
        "kong:index/route:Route::api": "create",
        "consul:index/service:Service::backend": "create",
    }
    stack.run("up", "--yes", "--refresh", "--skip-preview")
    assert kong.call("GET", f"/routes/{stack.output('route')}")["paths"] == ["/api/v1/"]
    assert len(consul.call("GET", "/v1/catalog/service/backend")) == 1
    assert stack.steps() == {}


def test_a_name_that_was_not_given_is_made_from_the_resource_s_own(stack: Stack) -> None:
    assert stack.output("route_name").startswith("api-")


def test_a_conflict_is_told_with_the_server_s_words(stack: Stack, kong: Server, tmp_path: Path) -> None:
    kong.call("POST", "/consumers", {"username": "taken"})
    program = tmp_path / "conflict"
    shutil.copytree(PROGRAM, program)
    (program / "__main__.py").write_text(
        "import pulumi, pulumi_kong as kong\n"
        "provider = kong.Provider('gateway', kong_admin_uri=pulumi.Config('conformance').require('kong'))\n"
        "kong.Consumer('taken', username='taken', opts=pulumi.ResourceOptions(provider=provider))\n"
    )
    other = Stack.__new__(Stack)
    other.folder, other.pulumi, other.env = (
        program,
        stack.pulumi,
        stack.env | {"PULUMI_BACKEND_URL": f"file://{program}"},
    )
    other.run("stack", "init", "conflict")
    other.config(kong=f"http://{kong.address}")
    told = other.run("up", "--yes", "--skip-preview", fails=True)
    assert "409" in told
    assert "username" in told


def test_an_existing_object_can_be_imported(stack: Stack, kong: Server) -> None:
    made = kong.call("POST", "/consumers", {"username": "imported", "tags": ["x"]})
    provider = _provider(stack)
    argv = ["--yes", "--protect=false", "--generate-code=false", "--provider", provider]
    stack.run("import", "kong:index/consumer:Consumer", "imported", made["id"], *argv)
    state = json.loads(stack.run("stack", "export"))["deployment"]["resources"]
    imported = next(resource for resource in state if resource["type"] == "kong:index/consumer:Consumer")
    assert imported["inputs"] == {"username": "imported", "tags": ["x"]}
    stack.up()  # the program does not declare it: it goes
    assert made["id"] not in [consumer["id"] for consumer in kong.call("GET", "/consumers")["data"]]


def _provider(stack: Stack) -> str:
    document = json.loads(stack.run("stack", "export"))
    urns = [r["urn"] for r in document["deployment"]["resources"] if r["type"] == "pulumi:providers:kong"]
    return f"gateway={urns[0]}"


def test_secrets_are_not_in_the_plain_state(stack: Stack) -> None:
    assert "a-very-secret-value" not in stack.run("stack", "export")
