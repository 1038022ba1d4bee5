"""PostgreSQL's data in a new cluster, by the very commands of the document; and jumps that are refused."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import made
from tests.e2e.environment import CORE, ROOT, Environment

pytestmark = pytest.mark.e2e
WORDS = "from before the upgrade"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment of its own: its database is taken apart."""
    for one in made("e2e-upgrades", tmp_path_factory.mktemp("upgrades")):
        one.up()
        yield one


def blocks(stack: str, image: str) -> list[str]:
    """The shell blocks of the section, for this stack; both images are the same: there is one major to try it with."""
    text = (ROOT / "docs" / "upgrades.md").read_text().partition("### Dump and restore")[2]
    found = re.findall(r"^ +```sh\n(.*?)^ +```", text, re.MULTILINE | re.DOTALL)
    for old, new in (("nexus-dev-", f"nexus-{stack}-"), ("nexus.stack=dev", f"nexus.stack={stack}")):
        found = [block.replace(old, new) for block in found]
    return [re.sub(r"\b(OLD|NEW)\b", image, block) for block in found]


def shell(script: str, folder: Path) -> str:
    done = subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, script + done.stdout + done.stderr
    return done.stdout


def rows(printed: str) -> dict[str, int]:
    """The table of rows as psql prints it."""
    return {table: int(number) for table, _, number in (line.partition("|") for line in printed.split())}


@pytest.mark.parametrize(("image", "says"), [("postgres:16.2", "#dump-and-restore"), ("postgres:14.9", "no way from")])
def test_a_jump_is_refused_by_preview_and_up_before_anything_is_touched(
    environment: Environment, image: str, says: str
) -> None:
    before = {container.name: container.id for container in environment.containers()}
    environment.configure(services={"postgres": {"image": image}})
    for verb in ("preview", "up"):
        done = environment.nexus(verb)
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"postgres 15, the image is of {image[9:11]}" in done.stderr and says in done.stderr
    assert {container.name: container.id for container in environment.containers()} == before
    environment.configure()
    assert environment.changes("--refresh") == {}


def test_settings_of_a_version_that_is_not_known_are_refused_by_every_verb(environment: Environment) -> None:
    environment.configure(version=99)
    for verb in ("preview", "up", "status"):
        done = environment.nexus(verb)
        assert done.returncode == 2 and "knows no version after" in done.stderr, done.stdout + done.stderr
    environment.configure()


def test_the_documents_way_brings_all_data_into_a_new_cluster(environment: Environment, tmp_path: Path) -> None:
    made = environment.call("POST", "/api/v1/items", json={"name": WORDS})
    assert made.status_code == 201, made.text
    volume, old = f"nexus-{environment.stack}-postgres-data", f"nexus-{environment.stack}-postgres-data-old"
    stop, dump, count, aside, restore = blocks(environment.stack, environment.container("postgres").image.tags[0])
    try:
        shell(stop, tmp_path)
        running = {one.name for one in environment.engine.containers.list(filters={"label": "nexus.stack"})}
        ours = {name for name in running if name.startswith(f"nexus-{environment.stack}-")}
        assert ours == {f"nexus-{environment.stack}-postgres"}, "nobody writes"
        assert "PostgreSQL database cluster dump complete" in shell(dump, tmp_path)
        assert (tmp_path / "dump.sql").stat().st_mode & 0o077 == 0, "it has passwords in it"
        before = rows(shell(count, tmp_path))
        assert before["items"] >= 1
        shell(aside, tmp_path)
        shell(restore, tmp_path)
        postgres = f"nexus-{environment.stack}-postgres "
        assert rows(shell(count.replace(f"exec {postgres}", "exec nexus-restore "), tmp_path)) == before
        shell("docker stop nexus-restore && docker rm nexus-restore", tmp_path)
        environment.up()
        status = environment.status()
        assert status["healthy"] == len(CORE), status
        assert WORDS in environment.call("GET", "/api/v1/items").text
        assert environment.changes("--refresh") == {}
        assert {one.name for one in environment.engine.volumes.list()} >= {volume, old}
    finally:
        subprocess.run(["docker", "rm", "-f", "nexus-restore"], check=False, capture_output=True)
        subprocess.run(["docker", "volume", "rm", "-f", old], check=False, capture_output=True)
