"""What a preview says is what `up` does, for changes of all kinds; what has not changed is never shown."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.errors import BAD_INPUT, FAILED
from tests.e2e.conftest import made
from tests.e2e.environment import CORE, Environment, copied, git

pytestmark = pytest.mark.e2e
LOG = logging.getLogger(__name__)

CHANGES = int(os.environ.get("NEXUS_TEST_CHANGES", "6"))
PREVIEWS = int(os.environ.get("NEXUS_TEST_PREVIEWS", "2"))
SEED = int(os.environ.get("NEXUS_TEST_SEED", "0")) or random.randrange(1, 10**6)
#: Of hundred changes one may come out differently: a container that dies during `up` is made again, for instance.
TRUE_OF_HUNDRED = 99
OPERATIONS = {"create": "create", "update": "update", "delete": "delete", "create-replacement": "replace"}
APPLICATIONS, MORE = ("auth", "nexus-backend"), ("users", "notifications", "files", "reports")

Config = dict[str, Any]
Change = Callable[[random.Random, Config, Config], str]


def resources(rng: random.Random, settings: Config, _: Config) -> str:
    name, key = rng.choice(sorted(CORE)), rng.choice(["memory", "cpus"])
    value = rng.choice([256, 272, 288, 320, 384]) if key == "memory" else rng.choice([0.5, 0.75, 1.5, 2.0])
    settings["services"].setdefault(name, {})[key] = value
    return f"{name}.{key} = {value}"


def replicas(rng: random.Random, settings: Config, _: Config) -> str:
    name, count = rng.choice(APPLICATIONS), rng.choice([1, 2])
    settings["services"].setdefault(name, {})["replicas"] = count
    return f"{name}.replicas = {count}"


def another_service(rng: random.Random, settings: Config, _: Config) -> str:
    name = rng.choice(MORE)
    own = settings["services"].setdefault(name, {})
    own["enabled"] = not own.get("enabled", False)
    return f"{name}.enabled = {own['enabled']}"


def host_port(rng: random.Random, settings: Config, _: Config) -> str:
    name, port = rng.choice(APPLICATIONS), rng.randrange(4900, 4950)
    settings["services"].setdefault(name, {})["port"] = port
    return f"{name}.port = {port}"


def people(rng: random.Random, settings: Config, _: Config) -> str:
    users, name = settings.setdefault("users", {"admin": {"roles": ["admin"]}}), f"user-{rng.randrange(3)}"
    if users.pop(name, None) is None:
        users[name] = {"email": f"{name}@example.com", "roles": [rng.choice(["user", "operator"])]}
    return f"users: {', '.join(users)}"


def keys(rng: random.Random, settings: Config, _: Config) -> str:
    kept, name = settings.setdefault("apiKeys", {}), f"key-{rng.randrange(3)}"
    if kept.pop(name, None) is None:
        kept[name] = rng.choice(["user", "operator"])
    return f"apiKeys: {kept}"


def door(rng: random.Random, settings: Config, _: Config) -> str:
    key = rng.choice(["tls", "corsOrigins"])
    settings[key] = (
        rng.choice(["optional", "redirect"]) if key == "tls" else [f"https://{rng.randrange(9)}.example.com"]
    )
    return f"{key} = {settings[key]}"


def leases(rng: random.Random, settings: Config, _: Config) -> str:
    settings["leases"] = {"ttl": rng.choice([1800, 3600, 7200])}
    return f"leases = {settings['leases']}"


def generation(rng: random.Random, settings: Config, _: Config) -> str:
    what = rng.choice(["redis", "users", "api-keys", "identities", "vault", "consul"])
    counted = settings.setdefault("rotations", {})
    counted[what] = counted.get(what, 0) + 1
    return f"rotations.{what} = {counted[what]}"


def gateway(rng: random.Random, _: Config, catalogue: Config) -> str:
    name = rng.choice(APPLICATIONS)
    key, value = rng.choice(
        [("cache", rng.choice([0, 15, 45])), ("retries", rng.randrange(1, 5)), ("timeout", rng.randrange(20, 40)),
         ("rate_limit", {"minute": rng.randrange(6000, 9000)}), ("breaker", {"errors": rng.randrange(3, 9)})]
    )  # fmt: skip
    catalogue[name].setdefault("gateway", {})[key] = value
    return f"{name}.gateway.{key} = {value}"


def route(rng: random.Random, _: Config, catalogue: Config) -> str:
    routes = catalogue["nexus-backend"]["routes"]
    routes[1:] = [] if len(routes) > 1 else [{"path": "/api/v2", "auth": rng.choice(["user", "operator", "public"])}]
    return f"nexus-backend.routes = {routes}"


def health(rng: random.Random, _: Config, catalogue: Config) -> str:
    name = rng.choice(APPLICATIONS)
    catalogue[name]["health"] = {"interval": rng.choice([5, 8, 10, 12]), "timeout": rng.choice([2, 3])}
    return f"{name}.health = {catalogue[name]['health']}"


KINDS: tuple[Change, ...] = (
    resources, replicas, another_service, host_port, people, keys, door, leases, generation, gateway, route, health,
)  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment of a copy of the project, so that its catalogue can be changed."""
    folder = tmp_path_factory.mktemp("truth")
    for one in made("e2e-truth", folder / "home", copied(folder / "project")):
        one.up()
        yield one


def executed(root: Path, stack: str) -> dict[str, set[str]]:
    """Resource names by operation, as the events of the last `up` tell."""
    log = max((root / ".nexus" / "logs").glob(f"{stack}-up-*.jsonl"), key=lambda file: file.stat().st_mtime)
    found: dict[str, set[str]] = {}
    for line in log.read_text().splitlines():
        step = json.loads(line).get("resOutputsEvent", {}).get("metadata")
        if step and step["op"] in OPERATIONS and step["type"] != "pulumi:pulumi:Stack":
            found.setdefault(OPERATIONS[step["op"]], set()).add(step["urn"].rsplit("::", 1)[-1])
    return found


def test_what_was_previewed_is_what_is_done(own: Environment) -> None:
    rng, settings, wrong = random.Random(SEED), {"services": {}}, []
    file = own.root / "infra" / "services.yaml"
    catalogue = yaml.safe_load(file.read_text())
    for number in range(CHANGES):
        told = f"seed {SEED}, change {number}: {KINDS[number % len(KINDS)](rng, settings, catalogue)}"
        file.write_text(yaml.safe_dump(catalogue, sort_keys=False))
        own.configure(**settings)
        previewed = own.changes("--refresh")
        done = own.nexus("up")
        assert done.returncode == 0, f"{told}: {done.stdout}{done.stderr}"
        LOG.info("%s: %s operations", told, sum(map(len, previewed.values())))
        if previewed != executed(own.root, own.stack):
            wrong.append(f"{told}: previewed {previewed}, done {executed(own.root, own.stack)}")
    assert len(wrong) * 100 <= (100 - TRUE_OF_HUNDRED) * CHANGES, "\n".join(wrong)


def test_what_was_reviewed_is_what_runs_or_nothing(own: Environment, tmp_path: Path) -> None:
    # A plan names the files that it was made from.
    for arguments in (["init"], ["add", "--all"], ["commit", "-m", "All of it"]):
        git(own.root, *arguments)
    file = str(tmp_path / "plan.json")
    rotations = dict.fromkeys(["identities", "vault", "consul", "redis"], 1)  # also what the providers log in with
    own.configure(
        services={"nexus-backend": {"memory": 304, "replicas": 2}}, apiKeys={"reviewed": "user"}, rotations=rotations
    )
    reviewed = own.changes()
    assert own.nexus("preview", "--save-plan", file).returncode == 0
    done = own.nexus("up", "--plan", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert executed(own.root, own.stack) == reviewed != {}

    again = own.nexus("up", "--plan", file)
    assert (again.returncode, "the state was written since" in again.stderr) == (BAD_INPUT, True), again.stderr

    assert own.nexus("preview", "--refresh", "--save-plan", file).returncode == 0
    own.container("nexus-backend-2").remove(force=True)
    other = own.nexus("up", "--plan", file)
    assert (other.returncode, "not planned: " in other.stderr) == (FAILED, True), other.stdout + other.stderr
    there = {container.name for container in own.containers()}
    assert f"nexus-{own.stack}-nexus-backend-2" not in there, "nothing was touched"


def test_nothing_changed_is_shown_as_changed(own: Environment) -> None:
    own.up()
    assert [own.changes(*arguments) for arguments in ([], ["--refresh"]) for _ in range(PREVIEWS)] == [
        {}
    ] * PREVIEWS * 2
