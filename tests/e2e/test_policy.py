"""The policies in previews and updates of a real environment, by `./nexus` and by plain Pulumi."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import made
from tests.e2e.environment import Environment
from tests.e2e.test_life import copied

pytestmark = pytest.mark.e2e


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    yield from made("e2e-policy", tmp_path)


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Environment]:
    """One whose name says that people depend on it."""
    for one in made("e2e-prod", tmp_path):
        one.configure(protect=True)
        yield one


def preview(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    return environment.nexus("preview", *arguments)


def elsewhere(environment: Environment, folder: Path) -> Environment:
    """The same environment of a copy of the project, to be changed."""
    other = replace(environment, root=copied(folder / "project"))
    shutil.copy(environment.settings_file, other.settings_file)
    return other


def test_an_environment_as_it_comes_keeps_every_policy(environment: Environment) -> None:
    done = preview(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "policy exception" not in done.stdout


def test_a_port_for_everybody_stops_a_preview_and_an_update_before_it_is_open(environment: Environment) -> None:
    environment.configure(adminBind="0.0.0.0")
    done = preview(environment)
    assert done.returncode == 1
    assert "violations of private-ports" in done.stderr
    assert "nexus:adminBind" in done.stderr and "policy/exceptions.yaml" in done.stderr
    plain = environment.pulumi(f"stack init {environment.stack} && pulumi preview -s {environment.stack}")
    assert plain.returncode != 0 and "private-ports" in plain.stdout
    done = environment.nexus("up")
    assert done.returncode == 1
    assert "private-ports" in done.stderr
    open_to_all = [
        container.name
        for container in environment.containers()
        for mapping in (container.attrs["HostConfig"]["PortBindings"] or {}).values()
        if any(each["HostIp"] not in ("127.0.0.1",) for each in mapping)
    ]
    assert open_to_all == []


def test_data_that_nobody_protects_stops_production_until_a_setting_says_so(production: Environment) -> None:
    assert preview(production).returncode == 0
    production.configure(protect=False)
    done = preview(production)
    assert done.returncode == 1
    assert "violations of protected-data" in done.stderr and "nexus:protect: true" in done.stderr


def test_an_open_route_stops_the_preview_of_production(production: Environment, tmp_path: Path) -> None:
    other = elsewhere(production, tmp_path)
    catalogue = other.root / "infra" / "services.yaml"
    document = yaml.safe_load(catalogue.read_text())
    document["nexus-backend"]["routes"] = [{"path": "/api/v1", "auth": "public"}]
    catalogue.write_text(yaml.safe_dump(document))
    done = preview(other)
    assert done.returncode == 1
    assert "1 violation of route-auth" in done.stderr
    assert "nexus-backend-routes-route-0: /api/v1 is open to everybody" in done.stderr


def excepted(environment: Environment, last: date) -> None:
    """An exception of 60 days that ends with this one."""
    entry = {
        "policy": "protected-data",
        "stacks": [environment.stack],
        "resources": ["*-data"],
        "reason": "The volumes are moved to another host.",
        "owner": "data team",
        "granted": last - timedelta(days=60),
        "expires": last,
    }
    (environment.root / "policy" / "exceptions.yaml").write_text(yaml.safe_dump({"exceptions": [entry]}))


def test_an_exception_is_listed_while_it_lasts_and_a_violation_afterwards(
    production: Environment, tmp_path: Path
) -> None:
    production.configure(protect=False)
    other, today = elsewhere(production, tmp_path), datetime.now(UTC).date()
    excepted(other, today + timedelta(days=1))
    done = preview(other)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("policy exception: protected-data")]
    assert f"until {today + timedelta(days=1)} (data team): The volumes are moved" in line
    excepted(other, today - timedelta(days=1))
    done = preview(other)
    assert done.returncode == 1
    assert f"expired {today - timedelta(days=1)}" in done.stderr
    (other.root / "policy" / "exceptions.yaml").write_text("exceptions: [{policy: protected-data}]")
    done = preview(other)
    assert done.returncode == 2 and "exceptions[0].stacks" in done.stderr
