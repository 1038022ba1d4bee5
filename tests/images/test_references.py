"""Names of images: pure, quick, and a local tag that changes with everything that goes into the image."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra import images
from ops.paths import ROOT


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project with the same layout, so that its files can be changed."""
    files = {
        "infra/images.yaml": (
            "images:\n"
            "  base: {version: '12'}\n"
            "  python: {version: '3.11', upstream: 'library/python:3.11-slim', base: base}\n"
            "  server: {version: 1.2.3, upstream: 'vendor/server:1.2.3', base: base, artifact: server,"
            " stand_in: true}\n"
            "  app: {version: 0.1.0, base: python, sources: [services]}\n"
        ),
        "infra/contracts.yaml": "contracts:\n  server: {uid: 5, gid: 5, entrypoint: [], command: [x], health: [x]}\n",
        "offline/artifacts.yaml": "server: {version: 1.0.0, module: offline/server, package: ., seconds: 1}\n",
        "offline/server/main.go": "package main\n",
        "offline/images/base/bootstrap.sh": "one\n",
        "offline/images/python/Dockerfile": "FROM base\n",
        "offline/images/server/Dockerfile": "FROM base\n",
        "offline/images/app/Dockerfile": "FROM python\n",
        "services/app.py": "print(1)\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(images, "_ROOT", tmp_path)
    monkeypatch.setattr(images, "_PINS", tmp_path / "infra/images.yaml")
    monkeypatch.setattr(images, "_CONTRACTS", tmp_path / "infra/contracts.yaml")
    monkeypatch.setattr(images, "_ARTIFACTS", tmp_path / "offline/artifacts.yaml")
    monkeypatch.setattr(images, "_RECIPES", tmp_path / "offline/images")
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def forget():
    for cached in (images.load, images.reference, images._digest, images._contract_rows, images._artifact_rows):
        cached.cache_clear()


def tags(source=images.LOCAL):
    forget()
    return {name: images.reference(name, source) for name in images.load()}


def changed(before):
    after = tags()
    return {name for name in before if before[name] != after[name]}


def test_originals_are_named_as_published_and_behind_a_mirror_when_there_is_one(project):
    assert images.reference("server", "upstream") == "vendor/server:1.2.3"
    assert images.reference("server", "upstream", "mirror.example:5000/hub/") == (
        "mirror.example:5000/hub/vendor/server:1.2.3"
    )
    assert not images.is_stand_in("server", "upstream")


def test_local_images_are_named_by_version_and_content_and_stand_ins_say_so(project):
    assert images.reference("python", "local").startswith("nexus/python:3.11-")
    assert images.reference("server", "local").startswith("nexus/server-standin:1.2.3-")
    assert images.is_stand_in("server", "local")
    assert len(images.reference("python", "local").rpartition("-")[2]) == 12


def test_the_projects_own_image_is_built_here_in_both_modes_from_the_chosen_base(project):
    here, upstream = images.reference("app", "local"), images.reference("app", "upstream")
    assert here.startswith("nexus/app:0.1.0-")
    assert upstream.startswith("nexus/app:0.1.0-")
    assert here != upstream


@pytest.mark.parametrize(
    ("file", "affected"),
    [
        ("offline/images/base/bootstrap.sh", {"base", "python", "server", "app"}),
        ("offline/images/python/Dockerfile", {"python", "app"}),
        ("offline/images/server/Dockerfile", {"server"}),
        ("offline/server/main.go", {"server"}),
        ("services/app.py", {"app"}),
        ("services/new.py", {"app"}),
    ],
)
def test_a_changed_file_changes_the_images_that_contain_it_and_no_other(project, file, affected):
    before = tags()
    with (project / file).open("a") as out:
        out.write("# changed\n")
    assert changed(before) == affected


@pytest.mark.parametrize(
    ("file", "old", "new", "affected"),
    [
        ("infra/images.yaml", "1.2.3, upstream", "1.2.4, upstream", {"server"}),
        ("infra/contracts.yaml", "uid: 5", "uid: 6", {"server"}),
        ("offline/artifacts.yaml", "version: 1.0.0", "version: 1.0.1", {"server"}),
    ],
)
def test_a_changed_row_changes_its_image(project, file, old, new, affected):
    before = tags()
    path = project / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert changed(before) == affected


def test_a_file_that_becomes_executable_changes_the_image(project):
    before = tags()
    (project / "offline/images/server/Dockerfile").chmod(0o755)
    assert changed(before) == {"server"}


@pytest.mark.parametrize("file", ["services/__pycache__/a.pyc", "services/tests/t.py", "offline/server/main_test.go"])
def test_caches_and_tests_are_not_part_of_an_image(project, file):
    before = tags()
    (project / file).parent.mkdir(exist_ok=True)
    (project / file).write_text("x")
    assert changed(before) == set()


def test_a_base_that_does_not_exist_is_refused(project):
    path = project / "infra/images.yaml"
    path.write_text(path.read_text().replace("base: base, artifact", "base: nothing, artifact"))
    forget()
    with pytest.raises(ValueError, match=r"images\.server\.base: no image 'nothing'"):
        images.load()


def test_an_unknown_field_is_refused(project):
    path = project / "infra/images.yaml"
    path.write_text(path.read_text().replace("stand_in: true", "standin: true"))
    forget()
    with pytest.raises(ValueError, match="standin"):
        images.load()


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "good",
    ["redis:7.0", "library/redis:7.0", "host:5000/a/b-c_d.e:1", f"a/b@{DIGEST}", f"127.0.0.1:5000/a:1@{DIGEST}"],
)
def test_a_well_formed_reference_is_accepted(good):
    assert images.check_reference(good) == good


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "malformed"),
        ("Redis:7", "lower case"),
        ("Library/redis:7", "lower case"),
        ("redis:", "malformed"),
        ("redis 7", "malformed"),
        ("redis:7@sha256:12", "malformed"),
        ("redis:7:8", "malformed"),
        ("http://host/redis:7", "malformed"),
        ("redis:-x", "malformed"),
        ("a//b:1", "malformed"),
        ("redis", "names no version"),
        ("host:5000/redis", "names no version"),
        ("redis:7\n", "malformed"),
    ],
)
def test_a_malformed_reference_is_refused_with_the_rule(bad, why):
    with pytest.raises(ValueError, match=why):
        images.check_reference(bad)


def test_every_original_is_pinned_to_a_release_and_has_a_recipe():
    for image in images.load().values():
        assert image.recipe.is_dir()
        if image.upstream:
            tag = image.upstream.partition("@")[0].rpartition(":")[2]
            version = tag.removeprefix("v")
            assert version.startswith(image.version), f"{image.name}: the recipe's version is not the original's"


def test_naming_all_images_costs_little_and_loads_neither_pulumi_nor_a_docker_client():
    script = (
        "import sys, time; import yaml, pydantic; from infra import images; t = time.perf_counter();"
        "[images.reference(name, s) for s in ('local', 'upstream') for name in images.load()];"
        "took = time.perf_counter() - t;"
        "assert not {'pulumi', 'docker', 'httpx'} & set(sys.modules), 'heavy import'; print(took)"
    )
    best = min(
        float(subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stdout)
        for _ in range(3)
    )
    assert best < 0.06, "measured 0.02 s on two idle cores; it is part of every preview"


def test_recipes_hold_no_address_but_those_of_the_platforms_own_servers():
    names = set(images.load()) | {"127.0.0.1", "localhost"}
    for path in (ROOT / "offline/images").rglob("*"):
        if path.is_file():
            text = re.sub(r'xmlns="[^"]*"', "", path.read_text())  # a name, not an address
            addresses = re.findall(r"\w+://([^/:\"'\s]*)", text)
            assert set(addresses) <= names, path


def test_recipes_are_valid_shell(tmp_path: Path):
    shells = {"#!/bin/sh": "sh", "#!/bin/bash": "bash"}
    found = 0
    for path in (ROOT / "offline/images").rglob("*"):
        first = path.read_text().partition("\n")[0] if path.is_file() else ""
        if first in shells:
            found += 1
            subprocess.run([shutil.which(shells[first]) or "", "-n", str(path)], check=True)
            assert path.stat().st_mode & 0o111, f"{path} is not executable"
    assert found >= 7
