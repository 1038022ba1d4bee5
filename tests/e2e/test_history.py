"""What happened to an environment is known, and any version of it that was good comes back, by its own program."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker.errors import ImageNotFound

from infra import images
from tests.e2e.environment import CORE, Environment, git
from tests.e2e.test_life import copied, eventually, started

pytestmark = pytest.mark.e2e
LOG = logging.getLogger(__name__)
#: Away from what other environments use: see conftest.
BACKEND = 8000
#: How many times a version is chosen at random and brought back.
ROLLBACKS = int(os.environ.get("NEXUS_TEST_ROLLBACKS", "2"))
REVISION = '''"""Items have a note."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE items ADD COLUMN IF NOT EXISTS note text")
'''


@dataclass
class Lived:
    """An environment of a project that has a repository of its own, and what each good update is known by."""

    environment: Environment
    known: dict[int, tuple[str, int]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.environment.root

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments)

    def commit(self, subject: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def release(self, version: str) -> str:
        """A commit whose services say another version of themselves."""
        (self.root / "services/__init__.py").write_text(
            f'"""The programs of the image."""\n\n__version__ = "{version}"\n'
        )
        return self.commit(f"Version {version}")

    def run(self, verb: str, *arguments: str) -> str:
        done = self.environment.nexus(verb, *arguments, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def up(self, *arguments: str) -> int:
        """Update, and keep in mind how the services answer; returns the update's number."""
        self.run("up", *arguments)
        self.known[self.updates()[-1]["number"]] = self.seen()
        return self.updates()[-1]["number"]

    def updates(self) -> list[dict[str, Any]]:
        return json.loads(self.run("history", "--json"))["updates"]

    def seen(self) -> tuple[str, int]:
        """What the backend says its version is, and the memory it has, in MiB."""
        document = httpx.get(self.environment.url(BACKEND, "/openapi.json"), timeout=10, trust_env=False)
        limit = self.environment.container("nexus-backend").attrs["HostConfig"]["Memory"]
        return document.raise_for_status().json()["info"]["version"], limit // 2**20

    def healthy(self) -> bool:
        return self.environment.status()["healthy"] == len(CORE) and self.environment.ready().status_code == 200


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    home = tmp_path_factory.mktemp("history")
    environment = Environment("e2e-history", home, CORE, root=copied(home / "project"))
    environment.configure()
    environment.remove()  # what an interrupted run of these tests left
    environment.configure()
    found = Lived(environment)
    found.git("init", "--initial-branch=main")
    found.release("0.1.0")
    try:
        yield found
    finally:
        made = {name for update in found.updates() for name in update["images"] if name.startswith("nexus/service:")}
        environment.remove()
        for name in made - {images.reference("service", images.LOCAL)}:
            with suppress(ImageNotFound):
                environment.engine.images.remove(name)
        environment.engine.close()


def test_an_update_is_written_down_with_all_that_makes_its_version(lived: Lived) -> None:
    commit = lived.git("rev-parse", "HEAD")
    number = lived.up("--message", "the first one")
    (one,) = lived.updates()
    assert (number, one["number"], one["kind"], one["result"]) == (1, 1, "up", "good")
    assert (one["commit"], one["author"], one["message"]) == (commit, "Ann <ann@example.com>", "the first one")
    assert one["dirty"] == [] and one["healthy"] == one["services"] == len(CORE)
    assert one["settings"] == lived.environment.settings_file.read_text() and "encryptionsalt" in one["settings"]
    assert one["changes"]["create"] == one["resources"] > 100 and one["seconds"] > 1
    engine = lived.environment.engine
    assert {name: engine.images.get(name).id for name in one["images"]} == one["images"] and len(one["images"]) > 5
    assert set(one["volumes"]) >= {f"nexus-e2e-history-{name}-data" for name in ("postgres", "redis", "vault")}
    assert one["schemas"]["nexus-backend"] == {"history": "items", "revisions": ["0001"]}
    files = [path for path in (lived.environment.home / "state/nexus-history").rglob("*") if path.is_file()]
    assert len(files) == 3, "the record, the state before and the one after"
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert lived.known[1] == ("0.1.0", 192)


def test_what_differs_between_two_updates_is_said(lived: Lived) -> None:
    (lived.root / "services/migrations/items/0002_note.py").write_text(REVISION)
    commit = lived.release("0.1.1")
    assert lived.up() == 2
    lived.environment.configure(services={"nexus-backend": {"memory": 208}})
    assert lived.up() == 3
    assert lived.known[2] == ("0.1.1", 192) and lived.known[3] == ("0.1.1", 208)
    first = json.loads(lived.run("diff", "1", "2", "--json"))
    assert [line.split(" ", 1)[0] for line in first["commits"]] == [">"] and commit[:7] in first["commits"][0]
    assert first["settings"] == []
    assert {one["reference"].split(":")[0] for one in first["images"]} == {"nexus/service"}
    assert "nexus-backend-server" in {one["name"] for one in first["resources"]}
    second = json.loads(lived.run("diff", "2", "3", "--json"))
    assert (second["commits"], second["images"], second["notes"]) == ([], [], [])
    assert [(one["op"], one["name"], one["properties"]) for one in second["resources"]] == [
        ("update", "nexus-backend-server", ["memory", "memorySwap"]),
        ("update", "nexus-backend-trial", ["memory"]),
    ]
    assert any("208" in line for line in second["settings"])


def test_an_update_that_fails_goes_back_to_the_last_good_one_by_itself(lived: Lived) -> None:
    good = lived.environment.settings_file.read_text()
    redis = next(name for name in lived.updates()[-1]["images"] if name.startswith("nexus/redis:"))
    lived.environment.configure(services={"nexus-backend": {"memory": 208, "image": redis}})
    done = lived.environment.nexus("up", "--rollback-on-failure", timeout=900)
    assert done.returncode != 0 and "update 3 was brought back" in done.stderr, done.stdout + done.stderr
    failed, back = lived.updates()[-2:]
    assert (failed["number"], failed["result"]) == (4, "failed") and "nexus-backend" in failed["reason"]
    assert (failed["services"], failed["sick"]) == (len(CORE), []), "tried beside the running one, which serves on"
    assert (back["number"], back["kind"], back["target"], back["result"]) == (5, "rollback", 3, "good")
    assert lived.environment.settings_file.read_text() == good, "what runs is what the settings say"
    eventually(lived.healthy)
    lived.known[5] = lived.seen()
    assert lived.known[5] == lived.known[3] and lived.environment.changes("--refresh") == {}
    assert trees(lived) == 1


def test_a_killed_update_is_known_as_such_and_the_next_one_goes_on(lived: Lived) -> None:
    lived.environment.configure(services={"nexus-backend": {"memory": 224}, "users": {"enabled": True}})
    process = subprocess.Popen(
        [str(lived.root / "nexus"), "up", lived.environment.stack], cwd=lived.root, env=lived.environment.variables,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    eventually(lambda: lived.updates()[-1]["number"] == 6, 180)
    assert lived.updates()[-1]["result"] == "running"
    time.sleep(random.uniform(3, 10))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert lived.updates()[-1]["result"] == "killed"
    lived.environment.configure(services={"nexus-backend": {"memory": 224}})
    assert lived.up() == 7
    killed, good = lived.updates()[-2:]
    assert (killed["result"], good["result"]) == ("killed", "good") and killed["after"] == good["before"]


def test_what_cannot_be_undone_is_refused_before_anything_is_touched(lived: Lived) -> None:
    lived.run("rotate", "redis")
    assert lived.updates()[-1]["number"] == 8
    lived.known[8] = lived.seen()
    before, settings = started(lived.environment), lived.environment.settings_file.read_text()
    refused = lived.environment.nexus("rollback", "1", "--yes")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    names = ["migration:items:0002", "rotation:redis"]
    assert all(f"--accept '{name}'" in refused.stderr for name in names), refused.stderr
    assert (started(lived.environment), len(lived.updates())) == (before, 8)
    assert lived.environment.settings_file.read_text() == settings and trees(lived) == 1
    lived.run("rollback", "1", "--yes", *(part for name in names for part in ("--accept", name)))
    back = lived.updates()[-1]
    assert (back["kind"], back["target"], back["result"]) == ("rollback", 1, "good")
    assert back["commit"] == lived.updates()[0]["commit"] and lived.seen() == lived.known[1]
    eventually(lived.healthy)
    assert same_as(lived, back) == {}
    assert "acknowledged" in back["settings"] and "redis: 1" in back["settings"]


def test_any_version_comes_back_as_it_was(lived: Lived) -> None:
    lived.up("--message", "forward again")
    assert lived.seen()[0] == "0.1.1", "a plain `up` is the way forward"
    for _ in range(ROLLBACKS):
        kept = {update["number"] for update in lived.updates()}  # older ones are pruned, as rollbacks are updates too
        target = random.choice([number for number in lived.known if number >= 2 and number in kept])
        told = f"to {target} of {sorted(lived.known)}"
        accepted = [] if target >= 8 else ["--accept", "rotation:redis"]
        lived.run("rollback", str(target), "--yes", *accepted)
        back = lived.updates()[-1]
        assert (back["target"], back["result"]) == (target, "good"), told
        assert lived.seen() == lived.known[target], told
        assert same_as(lived, back) == {}, told
        eventually(lived.healthy)
        lived.known[back["number"]] = lived.known[target]
        LOG.info("rolled back %s: %s", told, lived.known[target])
    assert trees(lived) == 1


def test_damage_to_the_state_is_found_and_undone(lived: Lived) -> None:
    assert unwell(lived) == {}
    file = lived.environment.home / "state/.pulumi/stacks/nexus/e2e-history.json"
    file.write_bytes(file.read_bytes()[:-3000])
    container = lived.environment.container("nexus-backend")
    container.remove(force=True)
    assert doctor(lived)["readable"] == "failed"
    done = state(lived, "--restore", "--yes")
    found = doctor(lived)
    assert (found["readable"], found["sound"], found["secrets"], found["there"]) == ("ok", "ok", "ok", "failed"), (
        done.stderr
    )
    lived.up()
    assert unwell(lived) == {}
    eventually(lived.healthy)


def test_the_end_of_an_environment_is_an_update_too(lived: Lived) -> None:
    number = lived.updates()[-1]["number"]
    lived.run("down", "--yes")
    last = lived.updates()[-1]
    assert (last["number"], last["kind"], last["result"]) == (number + 1, "down", "good")
    assert lived.environment.leftovers() == []


def state(lived: Lived, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`nexus state doctor`."""
    command = [str(lived.root / "nexus"), "state", "doctor", lived.environment.stack, *arguments]
    env = lived.environment.variables
    return subprocess.run(command, cwd=lived.root, env=env, capture_output=True, text=True, timeout=300, check=False)


def doctor(lived: Lived) -> dict[str, str]:
    done = state(lived, "--json")
    return {check["name"]: check["result"] for check in json.loads(done.stdout)["checks"]}


def unwell(lived: Lived) -> dict[str, str]:
    return {name: result for name, result in doctor(lived).items() if result != "ok"}


def trees(lived: Lived) -> int:
    """How many working trees the repository has."""
    return lived.git("worktree", "list", "--porcelain").count("worktree ")


def same_as(lived: Lived, update: dict[str, Any]) -> dict[str, set[str]]:
    """What a preview by an update's program would change, with the settings that are there now."""
    branch = lived.git("rev-parse", "--abbrev-ref", "HEAD")
    lived.git("checkout", "--quiet", update["commit"])
    try:
        return lived.environment.changes("--refresh")
    finally:
        lived.git("checkout", "--quiet", branch)
