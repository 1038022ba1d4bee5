"""The environment Pulumi runs in, as a real shell sees it."""

import os
import subprocess
from pathlib import Path
from threading import Barrier, Thread

import pytest

from ops import console, env, environment, pulumi_cli
from ops import source as sources
from ops.paths import ROOT
from ops.pulumi_cli import Toolchain


@pytest.fixture
def private(tmp_path, monkeypatch):
    folder = tmp_path / "a place with 'quotes'"
    monkeypatch.setattr(environment, "STATE", folder / "state")
    monkeypatch.setattr(environment, "PASSPHRASE", folder / "passphrase")
    for name in list(os.environ):
        if name.startswith(("PULUMI_", "NEXUS_")):
            monkeypatch.delenv(name)
    return folder


def toolchain(folder):
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "pulumi"
    program.write_text("#!/bin/sh\necho this one\n")
    program.chmod(0o755)
    return Toolchain("local", program, (folder / "bin",), folder / "home")


def evaluate(text, command):
    script = f'eval "$1"; {command}'
    return subprocess.run(["sh", "-c", script, "sh", text], capture_output=True, text=True, check=True).stdout.strip()


def test_a_shell_that_evaluates_it_finds_our_pulumi_and_all_it_needs(private, monkeypatch, capsys):
    made = toolchain(private)
    monkeypatch.setattr(sources, "decide", lambda _: sources.Decision("local", "as it is"))
    monkeypatch.setattr(pulumi_cli, "find", lambda _: made)
    assert env.run(stack="dev", source=None) == 0
    text = capsys.readouterr().out
    assert evaluate(text, "pulumi") == "this one"
    assert evaluate(text, 'echo "$PULUMI_HOME"') == str(private / "home")
    assert evaluate(text, 'echo "$NEXUS_SOURCE $PULUMI_STACK"') == "local dev"
    assert evaluate(text, 'cat "$PULUMI_CONFIG_PASSPHRASE_FILE"') == (private / "passphrase").read_text()
    assert evaluate(text, "command -v python") == str(ROOT / ".venv" / "bin" / "python")
    assert evaluate(text, 'echo "$PULUMI_BACKEND_URL"').startswith("file:///")


def test_without_a_toolchain_the_rest_is_printed_and_a_note_goes_to_stderr(private, monkeypatch, capsys):
    console.err.cache_clear()
    monkeypatch.setattr(sources, "decide", lambda _: sources.Decision("local", "as it is"))
    monkeypatch.setattr(pulumi_cli, "find", lambda _: None)
    assert env.run(stack=None, source=None) == 0
    shown = capsys.readouterr()
    console.err.cache_clear()
    assert "./nexus up" in shown.err
    assert evaluate(shown.out, 'echo "$NEXUS_SOURCE"') == "local"


def test_evaluating_twice_does_not_grow_the_path(private):
    made = toolchain(private)
    once = environment.variables("local", made, {"PATH": "/usr/bin"})
    twice = environment.variables("local", made, {"PATH": once["PATH"]})
    assert twice["PATH"] == once["PATH"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("PULUMI_BACKEND_URL", "s3://bucket"), ("PULUMI_CONFIG_PASSPHRASE", ""), ("PULUMI_CONFIG_PASSPHRASE_FILE", "/p")],
)
def test_what_the_user_chose_is_left_alone(private, name, value):
    values = environment.variables("local", None, {"PATH": "/usr/bin", name: value})
    assert name not in values
    if name != "PULUMI_BACKEND_URL":
        assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in values
        assert not environment.PASSPHRASE.exists()


def test_the_passphrase_is_made_once_and_for_its_owner_alone(private):
    first = environment.passphrase_file(private / "passphrase").read_text()
    assert environment.passphrase_file(private / "passphrase").read_text() == first
    assert len(first) >= 40
    assert (private / "passphrase").stat().st_mode & 0o777 == 0o600


def test_of_two_runs_that_make_a_passphrase_at_once_both_use_the_same(private):
    barrier, seen = Barrier(4), []

    def make():
        barrier.wait()
        seen.append(environment.passphrase_file(private / "passphrase").read_text())

    threads = [Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1 and len(seen) == 4
    assert [path.name for path in private.iterdir()] == ["passphrase"]


def test_a_local_toolchain_never_looks_for_plugins_elsewhere(private):
    values = environment.variables("local", toolchain(private), {"PATH": ""})
    assert values["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert "PULUMI_HOME" not in environment.variables("upstream", None, {"PATH": ""})


@pytest.mark.parametrize(
    ("url", "folder"),
    [("file:///a/b", Path("/a/b")), ("file:///a/b?no_tmp_dir=true", Path("/a/b")), ("s3://bucket", None)],
)
def test_a_file_backend_is_told_from_others(url, folder):
    assert environment.file_backend({"PULUMI_BACKEND_URL": url}) == folder
