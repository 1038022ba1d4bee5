"""Versions of a service shipped under load on the container engine: good ones, and ones that must never be used."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import suppress

import docker
import pytest

from tests.e2e.environment import CORE, HELPERS, Environment
from tests.e2e.load import Load

pytestmark = pytest.mark.e2e
REPOSITORY = "nexus-rolling"
SERVICE = "nexus-backend"
#: Versions by their tags: what is put on top of the service's image.
REFUSES = """\
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500, "no plan to serve by")
    do_POST = do_GET
HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
BROKEN = {
    "refuses": REFUSES,
    "crashes": "raise SystemExit('there is no plan to start by')",
}
VERSIONS = {
    "good": "LABEL nexus.test=good",
    "better": "LABEL nexus.test=better",
    **{version: f"CMD {json.dumps(['python', '-c', program])}" for version, program in BROKEN.items()},
}


class Stack(Environment):
    """An environment of which one service gets one version after the other."""

    def choose(self, version: str = "", replicas: int = 2) -> None:
        image = {"image": f"{REPOSITORY}:{version}"} if version else {}
        self.configure(services={SERVICE: {"replicas": replicas, **image}})

    def running(self) -> dict[str, str]:
        """The service's containers and the images that they run from."""
        found = [one for one in self.containers() if one.labels["nexus.service"] == SERVICE]
        return {one.name: one.attrs["Image"] for one in found}

    def runs(self, version: str, replicas: int) -> None:
        """That just so many containers of the version are there, and nothing else of any."""
        image = self.engine.images.get(f"{REPOSITORY}:{version}").id
        names = [f"nexus-{self.stack}-{SERVICE}{suffix}" for suffix in ("", "-2")[:replicas]]
        assert self.running() == dict.fromkeys(names, image)


def build(engine: docker.DockerClient, base: str) -> None:
    for version, lines in VERSIONS.items():
        engine.images.build(
            fileobj=io.BytesIO(f"FROM {base}\n{lines}\n".encode()), tag=f"{REPOSITORY}:{version}", rm=True
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack("e2e-rolling", tmp_path_factory.mktemp("rolling"), CORE)
    made.remove()
    made.choose()
    try:
        made.up()
        build(made.engine, made.container(SERVICE).image.tags[0])
        yield made
    finally:
        made.remove()
        for version in VERSIONS:
            with suppress(docker.errors.ImageNotFound):
                made.engine.images.remove(f"{REPOSITORY}:{version}", force=True)
        made.engine.close()


def ship(stack: Stack, version: str, replicas: int = 2) -> tuple[int, str]:
    """Change to the version under load, of which nothing may be refused; the end of `up`, and what it said."""
    stack.choose(version, replicas)
    with Load(stack) as load:
        load.at_least(20)
        done = stack.nexus("up")
        load.at_least(100)
    assert load.answers.keys() == {"200"}, (version, load.answers)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("replicas", "versions"), [(2, ("good", "better")), (1, ("good",))])
def test_a_new_version_is_shipped_without_a_refused_request(
    stack: Stack, replicas: int, versions: tuple[str, ...]
) -> None:
    stack.choose(replicas=replicas)
    stack.up()
    for version in versions:
        code, said = ship(stack, version, replicas)
        assert code == 0, said
        stack.runs(version, replicas)
        assert stack.changes("--refresh") == {}
    posted = stack.call("POST", "/api/v1/items", json={"name": f"of {replicas}"})
    assert posted.status_code == 201, posted.text


@pytest.mark.parametrize(
    ("broken", "replicas", "how", "last_words"),
    [
        ("crashes", 1, "ended with 1 before it was well", "there is no plan to start by"),
        ("refuses", 2, "not well after 120 s", "/ready: 500"),
    ],
)
def test_a_version_that_does_not_get_well_is_never_used(
    stack: Stack, broken: str, replicas: int, how: str, last_words: str
) -> None:
    stack.choose("good", replicas)
    stack.up()
    before = {container.name: container.id for container in stack.containers()}
    code, said = ship(stack, broken, replicas)
    assert code == 1, said
    for words in (f"image: {REPOSITORY}:{broken}", "nothing was replaced", how, last_words, "correct the image"):
        assert words in said, said
    assert {container.name: container.id for container in stack.containers()} == before, "nothing was touched"
    todo = stack.changes()
    assert f"{SERVICE}-trial" in todo["update"] and f"{SERVICE}-server" in todo["replace"], "still to be done"
    stack.choose("good", replicas)
    assert stack.changes().keys() <= {"delete"}, "the image that is not used is all there is to forget"
    stack.up()
    assert {container.name: container.id for container in stack.containers()} == before
    assert stack.changes("--refresh") == {}


def test_what_a_killed_trial_leaves_is_removed_by_the_next_up(stack: Stack) -> None:
    stack.choose("good")
    stack.up()
    first = stack.container(SERVICE)
    labels = {**first.labels, "nexus.kind": "helper"}
    stack.engine.containers.create(first.image.id, name=f"nexus-{stack.stack}-{SERVICE}-trial", labels=labels)
    stack.up()
    stack.runs("good", 2)
    names = {container.name.removeprefix(f"nexus-{stack.stack}-") for container in stack.containers()}
    assert names == {*CORE, *HELPERS, f"{SERVICE}-2"}
