"""The builder of Go programs: what its key covers, that it builds once, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ops import artifacts, go_build, paths, pulumi_cli
from ops.artifacts import Artifact
from ops.errors import Failure

MAIN = 'package main\n\nimport "fmt"\n\nvar version = "none"\n\nfunc main() { fmt.Println(version) }\n'


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A module of one file, in a cache of its own."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module tiny\n\ngo 1.26\n")
    (module / "main.go").write_text(MAIN)
    artifact = Artifact("tiny", "1.2.3", str(module), ".", seconds=4, ldflags="-X main.version=1.2.3")
    monkeypatch.setattr(artifacts, "load", lambda: {"tiny": artifact})
    for module_ in (artifacts, go_build):
        monkeypatch.setattr(module_, "CACHE", tmp_path / "cache")
    go_build.facts.cache_clear()
    return artifact


def silent(line: str) -> None:
    pass


def test_a_program_is_built_once_and_then_found(tiny: Artifact) -> None:
    assert artifacts.missing(["tiny"]) == ["tiny"]
    lines: list[str] = []
    program = artifacts.build("tiny", lines.append)
    assert subprocess.check_output([program], text=True) == "1.2.3\n"
    assert lines and lines[0].startswith("compiling tiny 1.2.3")
    built = program.stat().st_mtime_ns
    again: list[str] = []
    assert artifacts.build("tiny", again.append) == program
    assert (again, program.stat().st_mtime_ns) == ([], built)
    assert artifacts.missing(["tiny"]) == []
    assert artifacts.estimate(["tiny"]) == 0


def test_the_estimate_is_of_what_is_missing(tiny: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert artifacts.estimate(["tiny"]) == 4
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert artifacts.estimate(["tiny"]) == 1


def test_the_key_covers_sources_embedded_files_the_row_and_the_compiler(
    tiny: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {artifacts.key(tiny)}

    def expect_new_key(artifact: Artifact) -> None:
        key = artifacts.key(artifact)
        assert key not in keys
        keys.add(key)

    (tiny.folder / "main.go").write_text(MAIN + "// more\n")
    expect_new_key(tiny)
    (tiny.folder / "tables").mkdir()
    (tiny.folder / "tables" / "kong.yaml").write_text("a: 1\n")
    expect_new_key(tiny)
    expect_new_key(replace(tiny, ldflags="-X main.version=2"))
    expect_new_key(replace(tiny, version="2"))
    facts = go_build.facts(tiny.folder)
    monkeypatch.setattr(go_build, "facts", lambda folder: {**facts, "GOVERSION": "go9.9"})
    expect_new_key(tiny)


def test_the_key_leaves_out_tests_texts_and_the_estimate(tiny: Artifact) -> None:
    key = artifacts.key(tiny)
    (tiny.folder / "main_test.go").write_text("package main\n")
    (tiny.folder / "README.md").write_text("words\n")
    (tiny.folder / ".hidden").write_text("x\n")
    assert artifacts.key(replace(tiny, seconds=9)) == key


def test_the_key_covers_a_local_module_that_replaces_another(tiny: Artifact, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "shared.go").write_text("package shared\n")
    (tiny.folder / "go.mod").write_text("module tiny\n\ngo 1.26\n\nreplace shared => ../shared\n")
    key = artifacts.key(tiny)
    (tmp_path / "shared" / "shared.go").write_text("package shared // changed\n")
    assert artifacts.key(tiny) != key


def test_a_build_that_was_killed_is_not_used_and_the_next_one_completes(tiny: Artifact, tmp_path: Path) -> None:
    script = f"""
        from pathlib import Path
        from ops import artifacts, go_build
        artifacts.CACHE = go_build.CACHE = Path({str(tmp_path / "cache")!r})
        artifact = artifacts.Artifact("tiny", "1.2.3", {tiny.module!r}, ".", seconds=4, ldflags={tiny.ldflags!r})
        artifacts.load = lambda: {{"tiny": artifact}}
        artifacts.build("tiny", lambda line: print(line, flush=True))
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=paths.ROOT,
        env={**os.environ, "GOCACHE": str(tmp_path / "gocache")},  # empty, so that the build takes a while
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline().startswith("compiling tiny")
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert artifacts.missing(["tiny"]) == ["tiny"]
    program = artifacts.build("tiny", silent)
    assert subprocess.check_output([program], text=True) == "1.2.3\n"
    assert not list((tmp_path / "cache" / "artifacts").glob("*.partial"))


def test_two_at_once_build_it_once(tiny: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_ = go_build.compile

    def counted(artifact: Artifact, *rest: object) -> None:
        compiled.append(artifact.name)
        time.sleep(0.3)
        compile_(artifact, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(go_build, "compile", counted)
    lines: list[str] = []
    threads = [threading.Thread(target=artifacts.build, args=("tiny", lines.append)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compiled == ["tiny"]
    assert "waiting: tiny is being compiled" in lines


def test_a_compiler_error_ends_with_its_words_and_the_log(tiny: Artifact) -> None:
    (tiny.folder / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(Failure, match="tiny could not be compiled") as caught:
        artifacts.build("tiny", silent)
    assert "undefined: undefined" in caught.value.why
    assert "logs/tiny.log" in caught.value.remedy
    assert artifacts.missing(["tiny"]) == ["tiny"]


def test_a_full_disk_is_told_before_anything_is_compiled(tiny: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(go_build.shutil, "disk_usage", lambda path: usage._replace(free=1024**3))
    with pytest.raises(Failure, match=r"1\.0 GB are free .* needs 4 GB") as caught:
        artifacts.build("tiny", silent)
    assert "free some space" in caught.value.remedy


def go(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin" / "go"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    go_build.facts.cache_clear()


def test_a_disk_that_fills_up_while_compiling_is_the_reason_given(
    tiny: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = go_build.facts(tiny.folder)
    go(tmp_path, "echo 'write /tmp/x: no space left on device' >&2; exit 1", monkeypatch)
    monkeypatch.setattr(go_build, "facts", lambda folder: facts)
    with pytest.raises(Failure, match="the disk is full"):
        artifacts.build("tiny", silent)


def test_a_missing_compiler_is_named_with_what_to_install(
    tiny: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="not on PATH") as caught:
        artifacts.build("tiny", silent)
    assert "Go 1.26 or later" in caught.value.remedy


def test_an_older_compiler_is_told_with_both_versions(
    tiny: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(tmp_path, """echo '{"GOVERSION": "go1.19.8", "GOOS": "linux", "GOARCH": "amd64"}'""", monkeypatch)
    with pytest.raises(Failure, match=r"is go1\.19\.8, module needs 1\.26 or later"):
        artifacts.build("tiny", silent)


def test_a_module_that_is_not_what_was_pinned_is_not_compiled(tiny: Artifact) -> None:
    pinned = pulumi_cli.artifacts.Copy("golang.org/x/term", "v0.30.0", "h1:different", "upstream")
    with pytest.raises(Failure, match="is not what was pinned"):
        go_build.stage(replace(tiny, copies=(pinned,)))


def test_old_builds_are_removed_and_the_newest_kept(tiny: Artifact) -> None:
    for number in range(6):
        (tiny.folder / "main.go").write_text(f"{MAIN}// {number}\n")
        program = artifacts.build("tiny", silent)
    assert program.exists()
    assert len(list(program.parent.parent.glob("tiny-*"))) == artifacts.KEEP + 1


def test_the_table_pins_what_the_python_packages_pin() -> None:
    rows = artifacts.load()
    assert rows["pulumi"].version == pulumi_cli.pinned()
    assert rows["pulumi-resource-docker"].version == pulumi_cli.pulumi_plugins.required()["docker"]
    for row in rows.values():
        assert row.version in row.ldflags or not row.ldflags
    assert f"go {go_build._needed(rows['pulumi'].folder)}" in (rows["consul"].folder / "go.mod").read_text()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(Failure, match="no artifact 'nothing'") as caught:
        artifacts.path("nothing")
    assert "consul" in caught.value.why
