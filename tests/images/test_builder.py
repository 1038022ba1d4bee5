"""Building: bases first, two at a time, nothing twice, and a failure that shows the end of the build's output."""

from __future__ import annotations

import threading
import time
import uuid
from types import SimpleNamespace

import httpx
import pytest

from infra import images
from ops import debian, image_builder, image_recipes
from ops.errors import Failure


def test_images_are_made_after_their_bases_and_two_at_a_time():
    needed = {"base": set(), "python": {"base"}, "a": {"base"}, "b": {"base"}, "service": {"python"}}
    finished: list[str] = []
    running: list[int] = []
    lock = threading.Lock()

    def make(name):
        with lock:
            assert needed[name] <= set(finished)
            running.append(running[-1] + 1 if running else 1)
        time.sleep(0.05)
        with lock:
            running.append(running[-1] - 1)
            finished.append(name)

    image_builder._in_order(needed, make)
    assert sorted(finished) == sorted(needed)
    assert max(running) == 2


def test_the_first_failure_ends_the_build_and_starts_nothing_new():
    begun: list[str] = []

    def make(name):
        begun.append(name)
        raise Failure(f"{name} failed")

    with pytest.raises(Failure, match="base failed"):
        image_builder._in_order({"base": set(), "python": {"base"}}, make)
    assert begun == ["base"]


def test_only_the_bases_that_are_missing_are_built(monkeypatch):
    present = {images.reference("base", "local")}
    monkeypatch.setattr(image_builder, "inspect", lambda client, reference: reference in present)
    assert image_builder._with_bases(["service", "redis"], "local", "", None) == {
        "python": set(),
        "service": {"python"},
        "redis": set(),
    }


def test_with_originals_the_projects_own_image_waits_for_the_pulled_base_and_the_debian_base_is_not_needed(monkeypatch):
    monkeypatch.setattr(image_builder, "inspect", lambda client, reference: None)
    assert image_builder._with_bases(["service", "redis"], "upstream", "", None) == {
        "python": set(),
        "service": {"python"},
        "redis": set(),
    }


@pytest.mark.engine
def test_what_is_there_is_not_built_again(image):
    image("redis")
    lines: list[str] = []
    image_builder.ensure(["redis"], "local", lines.append)
    assert lines == []
    assert image_builder.missing(["redis"], "local") == []


@pytest.fixture
def recipe(tmp_path, monkeypatch, image):
    """A recipe of this test's own, on the real base image."""
    base = image("base")
    name = f"nexus-test-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / name
    folder.mkdir()
    known = {name: images.Image(name=name, version="1", base="base"), "base": images.load()["base"]}
    real = images.reference
    monkeypatch.setattr(images, "load", lambda: known)
    monkeypatch.setattr(images, "reference", lambda n, *_: base if n == "base" else f"{name}:1")
    monkeypatch.setattr(images, "_RECIPES", tmp_path)
    monkeypatch.setattr(image_recipes, "LOGS", tmp_path / "logs")
    assert real("base", "local") == base
    return folder


@pytest.mark.engine
def test_a_failed_build_shows_its_last_lines_and_leaves_no_image(recipe, engine):
    (recipe / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo about to fail && exit 3\n")
    with pytest.raises(Failure) as failed:
        image_builder.ensure([recipe.name], "local", lambda _: None)
    assert failed.value.what == f"building image {recipe.name} failed"
    assert "about to fail" in failed.value.why
    assert "non-zero code: 3" in failed.value.why
    log = recipe.parent / "logs" / f"image-{recipe.name}.log"
    assert str(log) in failed.value.remedy
    assert "about to fail" in log.read_text()
    assert engine.images.list(recipe.name) == []


@pytest.mark.engine
def test_a_build_installs_packages_through_the_hosts_mirror_alone(recipe, engine):
    (recipe / "Dockerfile").write_text(
        'ARG BASE\nFROM ${BASE}\nARG APT_OPTIONS\nRUN APT_OPTIONS="$APT_OPTIONS" install-packages tini\n'
    )
    lines: list[str] = []
    image_builder.ensure([recipe.name], "local", lines.append)
    made = engine.images.get(f"{recipe.name}:1")
    try:
        assert lines == [f"building image {recipe.name}"]
        assert engine.containers.run(made.id, ["tini", "--version"], remove=True).startswith(b"tini version")
        assert made.attrs["Config"]["Labels"]["org.opencontainers.image.version"] == "1"
        assert not any("127.0.0.1" in step["CreatedBy"] for step in made.history())
    finally:
        engine.images.remove(made.id, force=True)


SOURCES = """\
bookworm http://mirror.example/debian/
bookworm-updates http://mirror.example/debian/
bookworm-security http://mirror.example/security/
nodistro https://elsewhere.example/node/
"""


def test_the_mirror_is_the_hosts_own(monkeypatch):
    monkeypatch.setattr(debian, "_output", lambda command: SOURCES)
    assert debian.mirrors() == {
        "http://debian.invalid/debian-security/": "http://mirror.example/security/",
        "http://debian.invalid/debian/": "http://mirror.example/debian/",
    }


def test_a_host_without_debian_sources_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(debian, "_output", lambda command: "")
    with pytest.raises(Failure, match="no source for Debian bookworm") as failure:
        debian.mirrors()
    assert "sources.list" in failure.value.remedy
    assert debian.apt_options() == ""


def test_what_the_hosts_apt_is_told_about_the_mirrors_age_reaches_the_build(monkeypatch):
    told = "Acquire::Check-Valid-Until=false\nAcquire::Check-Date=false\n"
    monkeypatch.setattr(debian, "_output", lambda command: told)
    assert debian.apt_options() == "-o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false"


def test_the_relay_fetches_from_the_mirror_and_refuses_other_addresses(monkeypatch):
    asked: list[str] = []

    def fetch(address, target):
        asked.append(address)
        if address.endswith("missing"):
            return 404
        target.write_bytes(b"content")
        return 200

    monkeypatch.setattr(debian, "_output", lambda command: SOURCES)
    monkeypatch.setattr(debian, "_fetch", fetch)
    with debian.relay() as proxy, httpx.Client(proxy=proxy) as client:
        assert client.get("http://debian.invalid/debian/dists/x").content == b"content"
        assert client.get("http://debian.invalid/debian-security/y").content == b"content"
        assert client.get("http://debian.invalid/debian/missing").status_code == 404
        assert client.get("http://example.org/").status_code == 403
    assert asked == [
        "http://mirror.example/debian/dists/x",
        "http://mirror.example/security/y",
        "http://mirror.example/debian/missing",
    ]


def test_the_base_image_needs_root_on_debian_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "is_root_on_debian", lambda: False)
    monkeypatch.setattr(image_recipes, "LOGS", tmp_path)
    monkeypatch.setattr(image_recipes, "CACHE", tmp_path)
    nothing = SimpleNamespace(images=SimpleNamespace(list=lambda tag: []))
    with pytest.raises(Failure, match="needs root on a Debian machine") as failed:
        image_recipes.build(nothing, "base", "local", lambda _: None)
    assert "--source upstream" in failed.value.remedy


def test_packages_that_cannot_be_fetched_say_which_and_how_to_see_why(monkeypatch, tmp_path):
    (tmp_path / "requirements.txt").write_text("nothing-of-this-name==1 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(image_recipes, "ROOT", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    row = images.load()["service"]
    with pytest.raises(Failure, match="Python packages of image service") as failed:
        image_recipes._install_dependencies(tmp_path / "requirements.txt", tmp_path / "deps", row, lambda _: None)
    assert "nothing-of-this-name" in failed.value.why


def test_two_runs_that_want_the_same_image_build_it_once(monkeypatch, tmp_path):
    present: list[str] = []
    built: list[str] = []
    both = threading.Barrier(2)
    client = SimpleNamespace(images=SimpleNamespace(list=lambda tag: present))

    def build(job, base):
        time.sleep(0.2)
        built.append(job.tag)
        present.append(job.tag)

    def run():
        both.wait()
        image_recipes.build(client, "redis", "local", lambda _: None)

    monkeypatch.setattr(image_recipes, "_build", build)
    monkeypatch.setattr(image_recipes, "LOGS", tmp_path)
    monkeypatch.setattr(image_recipes, "CACHE", tmp_path)
    runs = [threading.Thread(target=run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert built == [images.reference("redis", "local")]


def test_what_a_killed_bootstrap_left_is_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(image_recipes, "CACHE", tmp_path)
    (tmp_path / "base-killed/root/etc").mkdir(parents=True)
    (tmp_path / "artifacts").mkdir()
    image_recipes._remove_leftovers()
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]
