"""Versions of the settings and of the catalogue, and how a file gets from one to another."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra import catalog, settings, versions
from infra.errors import ConfigError
from infra.versions import Form, Migration
from ops import documents, paths, upgrade
from ops.errors import BAD_INPUT, Failure

FILE = """\
# The environment of a test.
config:
  nexus:adminAddress: 127.0.0.1  # as it was called once
  nexus:services:
    redis: {memory: 160}
encryptionsalt: v1:salt
"""


def renamed(document: versions.Document) -> None:
    config = document["config"]
    if "nexus:adminAddress" in config:
        config["nexus:adminBind"] = config.pop("nexus:adminAddress")


def shifted(document: versions.Document) -> None:
    document["config"]["nexus:portOffset"] = 300


STEPS = (Migration("adminAddress is called adminBind", renamed), Migration("ports start at 300", shifted))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file of version 1, for a program that reads version 3."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / ".nexus")
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    form = Form(versions.SETTINGS.place, versions.SETTINGS.command, STEPS)
    monkeypatch.setattr(versions, "SETTINGS", form)
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(FILE)
    return path


def test_the_projects_own_files_are_of_the_newest_versions() -> None:
    for stack in ("dev", "prod"):
        assert yaml.safe_load((paths.ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]["nexus:version"] == (
            versions.SETTINGS.newest
        )
    assert yaml.safe_load(catalog.FILE.read_text())["version"] == versions.CATALOGUE.newest


def test_an_older_file_is_refused_with_the_command_that_upgrades_it(file: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        settings.load("dev")
    assert (failure.value.file, failure.value.field, failure.value.value) == (file.name, "config.nexus:version", 1)
    assert "version 3" in failure.value.rule and "`./nexus upgrade settings dev`" in failure.value.remedy


def test_an_upgrade_takes_every_step_and_keeps_comments_order_and_the_file_of_before(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upgrade.settings("dev", yes=True) == 0
    chosen = settings.load("dev")
    assert (str(chosen.admin_bind), chosen.port_offset, chosen.version) == ("127.0.0.1", 300, 3)
    lines = file.read_text().splitlines()
    assert [line for line in lines if line in FILE.splitlines()] == [
        line for line in FILE.splitlines() if "adminAddress" not in line
    ]
    (kept,) = (file.parent / ".nexus" / "upgrades").iterdir()
    assert kept.read_text() == FILE
    said = capsys.readouterr()
    assert "-  nexus:adminAddress: 127.0.0.1" in said.out and "+  nexus:adminBind: 127.0.0.1" in said.out
    assert "version 2: adminAddress is called adminBind" in said.err and "version 3: ports start at 300" in said.err
    assert upgrade.settings("dev", yes=False) == 0, "a second one has nothing to do, and need not ask"
    assert "nothing to do" in capsys.readouterr().out


def test_only_the_steps_that_are_left_are_taken(file: Path) -> None:
    file.write_text("config:\n  nexus:version: '2'\n  nexus:adminBind: 127.0.0.1\n")
    upgrade.settings("dev", yes=True)
    assert yaml.safe_load(file.read_text())["config"] == {
        "nexus:version": 3,
        "nexus:adminBind": "127.0.0.1",
        "nexus:portOffset": 300,
    }


def test_without_a_yes_it_is_shown_and_nothing_is_changed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failure) as failure:
        upgrade.settings("dev", yes=False)
    assert failure.value.code == BAD_INPUT and "./nexus upgrade settings dev --yes" in failure.value.remedy
    assert file.read_text() == FILE and not (file.parent / ".nexus").exists()
    assert "+  nexus:adminBind" in capsys.readouterr().out


def test_a_file_that_would_be_wrong_afterwards_is_left_as_it_is(file: Path) -> None:
    file.write_text(FILE.replace("127.0.0.1", "nowhere"))
    before = file.read_text()
    with pytest.raises(ConfigError, match="adminBind"):
        upgrade.settings("dev", yes=True)
    assert file.read_text() == before


def test_an_upgrade_that_is_cut_off_leaves_the_file_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(file), "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        upgrade.settings("dev", yes=True)
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    ("written", "rule", "remedy"),
    [
        (99, "knows no version after 3", "Use the program that Pulumi.dev.yaml was written for"),
        (0, "a whole number, 1 to 3", "without any it is 1"),
        (True, "a whole number, 1 to 3", "without any it is 1"),
        ("two", "a whole number, 1 to 3", "without any it is 1"),
    ],
)
def test_a_version_that_the_program_cannot_know_is_refused(file: Path, written: object, rule: str, remedy: str) -> None:
    file.write_text(yaml.safe_dump({"config": {"nexus:version": written}}))
    for act in (lambda: settings.load("dev"), lambda: upgrade.settings("dev", yes=True)):
        with pytest.raises(ConfigError) as failure:
            act()
        assert rule in failure.value.rule and remedy in failure.value.remedy


def test_a_stack_without_settings_is_told_which_have_some(file: Path) -> None:
    with pytest.raises(ConfigError, match="has no settings file"):
        upgrade.settings("nowhere", yes=True)
    assert file.exists()


def test_the_catalogue_of_another_version_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="knows no version after 1"):
        catalog.load(text="version: 2\n")
    form = Form(versions.CATALOGUE.place, versions.CATALOGUE.command, STEPS[:1])
    monkeypatch.setattr(versions, "CATALOGUE", form)
    with pytest.raises(ConfigError, match=r"`./nexus upgrade catalogue` shows"):
        catalog.load()


def test_the_catalogue_is_upgraded_with_its_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raised(document: versions.Document) -> None:
        document["search"]["memory"] = 512

    before = catalog.FILE.read_text()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / ".nexus")
    form = Form(versions.CATALOGUE.place, versions.CATALOGUE.command, (Migration("search needs more", raised),))
    monkeypatch.setattr(versions, "CATALOGUE", form)
    file = tmp_path / catalog.FILE_NAME
    file.parent.mkdir()
    file.write_text(before)
    assert upgrade.catalogue(yes=True) == 0
    assert catalog.load(text=file.read_text()).by_name["search"].memory == 512
    comments = [line for line in before.splitlines() if line.lstrip().startswith("#")]
    assert [line for line in file.read_text().splitlines() if line.lstrip().startswith("#")] == comments


@pytest.mark.parametrize("name", ["Pulumi.dev.yaml", "Pulumi.prod.yaml", "infra/services.yaml"])
def test_a_file_that_is_only_read_and_written_stays_as_people_wrote_it(name: str) -> None:
    text = (paths.ROOT / name).read_text()
    assert documents.dump(documents.load(text)) == text
