"""Jumps between major versions of a server: the table, what an image is of, and what is refused before anything."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from docker.errors import NotFound

from infra import catalog, majors, settings
from ops import majors as guard
from ops import preview, up
from ops.errors import BAD_INPUT, Failure
from ops.inputs import Inputs
from ops.paths import ROOT

POSTGRES = majors.load()["postgres"]


def inputs(**postgres: str) -> Inputs:
    chosen = settings.parse({"nexus:services": {"postgres": postgres}}, "Pulumi.dev.yaml")
    return Inputs("dev", chosen, catalog.load(chosen, "dev"))


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """The major of what is in the volume."""
    found: dict[str, int | None] = {"major": 15}
    monkeypatch.setattr(guard, "of_data", lambda *_: found["major"])
    return found


def test_every_way_of_the_table_is_described() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/upgrades.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert {jump.how for server in majors.load().values() for jump in server.jumps} <= anchors


def test_no_way_leads_back_and_the_pinned_major_is_one_that_ways_start_from() -> None:
    assert all(end > jump.start for server in majors.load().values() for jump in server.jumps for end in jump.to)
    for source in ("local", "upstream"):
        assert POSTGRES.reachable(majors.of_image("postgres", source) or 0)


@pytest.mark.parametrize(
    ("image", "major"),
    [
        ("postgres:16.2", 16),
        ("mirror.example.com:5000/library/postgres:v17-bookworm", 17),
        (f"postgres:18@sha256:{'0' * 64}", 18),
        (f"postgres@sha256:{'0' * 64}", None),
        ("postgres:latest", None),
    ],
)
def test_the_major_of_an_image_is_what_its_tag_begins_with(image: str, major: int | None) -> None:
    assert majors.of_image(image, "local") == major


@pytest.mark.parametrize(("major", "image"), [(15, "postgres"), (16, "postgres:16.2"), (None, "postgres:18")])
def test_the_same_major_and_a_server_without_data_pass(data: dict, major: int | None, image: str) -> None:
    data["major"] = major
    guard.check(inputs(image=image), "local")


@pytest.mark.parametrize(
    ("major", "image", "what", "remedy"),
    [
        (15, "postgres:16.2", "its data is of postgres 15, the image is of 16", "docs/upgrades.md#dump-and-restore"),
        (15, "postgres:14.9", "its data is of postgres 15, the image is of 14", "there is no way from 15 to 14"),
        (18, "postgres", "its data is of postgres 18, the image is of 15", "there is no way from 18 to 15"),
        (15, "postgres:latest", "does not say its version", "a tag that begins with its version"),
    ],
)
def test_a_jump_is_refused_with_both_versions_the_rule_and_the_way(
    data: dict, major: int, image: str, what: str, remedy: str
) -> None:
    data["major"] = major
    with pytest.raises(Failure) as failure:
        guard.check(inputs(image=image), "local")
    assert failure.value.code == BAD_INPUT
    assert what in failure.value.what and remedy in failure.value.remedy
    assert "infra/majors.yaml" in failure.value.why
    assert "nexus:services.postgres.image in Pulumi.dev.yaml" in failure.value.remedy


def test_servers_that_do_not_run_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = inputs()
    less = tuple(entry.model_copy(update={"enabled": False}) for entry in chosen.services)
    monkeypatch.setattr(guard, "of_data", lambda *_: pytest.fail("asked"))
    guard.check(Inputs("dev", chosen.settings, catalog.Catalog(services=less)), "local")


@pytest.mark.parametrize("module", [up, preview])
def test_up_and_preview_refuse_it_before_anything_is_touched(
    data: dict, module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = inputs(image="postgres:16.2")
    began = SimpleNamespace(inputs=chosen, source="local", workspace=None)
    monkeypatch.setattr(up.session, "begin", lambda *_, **__: began)
    monkeypatch.setattr(up.inputs, "load", lambda _: chosen)
    monkeypatch.setattr(up, "provision", lambda *_, **__: pytest.fail("touched"))
    monkeypatch.setattr(preview, "compute", lambda *_, **__: pytest.fail("touched"))
    with pytest.raises(Failure, match="the image is of 16"):
        if module is up:
            up.run("dev", "local", refresh=True, lock_timeout=1, timeout=1)
        else:
            preview.run("dev", "local", form="text", refresh=False, expect_no_changes=False)


@pytest.mark.parametrize(("text", "major"), [("15\n", 15), ("9.6\n", 9), ("", None), ("fifteen", None)])
def test_a_version_file_is_read_as_a_number(text: str, major: int | None) -> None:
    assert guard.number(text) == major


def test_a_volume_without_a_version_file_has_no_data_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise NotFound("no such file")

    client = SimpleNamespace(volumes=SimpleNamespace(get=lambda _: None))
    client.containers = SimpleNamespace(list=lambda **_: [SimpleNamespace(get_archive=missing)])
    entry = inputs().catalog.by_name["postgres"]
    assert guard.of_data(client, "dev", entry, "PG_VERSION", "local") is None  # type: ignore[arg-type]
