"""The launcher, run by a real sh in a copy of the tree with next to nothing to install."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ops.paths import ROOT

PROGRAM = "import sys\nprint('ran', sys.argv[1:], sys.prefix)\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    root = tmp_path_factory.mktemp("clone with a space")
    shutil.copy(ROOT / "nexus", root)
    (root / "ops").mkdir()
    shutil.copy(ROOT / "ops" / "venv.py", root / "ops")
    (root / "ops" / "__main__.py").write_text(PROGRAM)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (root / name).write_text("# nothing\n")
    return root


def launch(clone, *arguments, **options):
    command = options.pop("command", [str(clone / "nexus")])
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, **options)


def test_the_first_run_makes_the_environment_and_hands_over_all_arguments(clone):
    result = launch(clone, "up", "a stack")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"ran ['up', 'a stack'] {clone}/.venv\n"
    assert "making .venv" in result.stderr


def test_a_second_run_installs_nothing_and_is_quick(clone):
    launch(clone)
    started = time.monotonic()
    result = launch(clone)
    assert (result.returncode, result.stderr) == (0, "")
    assert time.monotonic() - started < 1


def test_it_works_through_a_link_and_from_another_directory(clone, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(clone / "nexus")
    result = launch(clone, "x", command=[str(link)], cwd="/")
    assert result.stdout.startswith("ran ['x']")


def test_test_and_bench_install_the_development_packages_once(clone):
    (clone / ".venv" / ".installed-requirements-dev.txt").unlink(missing_ok=True)
    assert "requirements-dev.txt" in launch(clone, "test").stderr
    assert launch(clone, "bench").stderr == ""


def test_changed_requirements_make_the_environment_anew(clone):
    launch(clone)
    stray = clone / ".venv" / "stray"
    stray.touch()
    (clone / "requirements.txt").write_text("# still nothing\n")
    assert "making .venv" in launch(clone).stderr
    assert not stray.exists()


def test_an_interrupted_installation_is_started_over(clone):
    launch(clone)
    (clone / ".venv" / ".installed-requirements.txt").unlink()
    (clone / ".venv" / "bin" / "python").unlink()
    assert launch(clone, "again").stdout.startswith("ran ['again']")


def test_a_package_that_cannot_be_installed_is_reported_with_what_to_do(clone):
    kept = (clone / "requirements.txt").read_text()
    (clone / "requirements.txt").write_text("./no-such-package --hash=sha256:" + "0" * 64 + "\n")
    result = launch(clone)
    (clone / "requirements.txt").write_text(kept)
    assert result.returncode == 1
    assert "error: pip install" in result.stderr and "what to do:" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_new_enough_python_it_says_which_is_needed_and_exits_with_3(clone, tmp_path):
    for tool in ("sh", "dirname", "readlink", "cat", "cksum"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    hidden = clone / ".venv" / "bin" / "python"
    hidden.rename(hidden.with_name("hidden"))
    try:
        result = launch(clone, env={"PATH": str(tmp_path)})
    finally:
        hidden.with_name("hidden").rename(hidden)
    assert result.returncode == 3
    assert "no Python 3.11 or later was found" in result.stderr


def test_two_runs_at_once_make_the_environment_once(clone):
    (clone / "requirements.txt").write_text(f"# {time.time()}\n")
    both = [
        subprocess.Popen([str(clone / "nexus"), n], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in "ab"
    ]
    ends = [process.communicate() for process in both]
    assert [out[:8] for out, _ in ends] == ["ran ['a'", "ran ['b'"]
    assert "".join(err for _, err in ends).count("making .venv with") == 1


def test_help_of_the_real_one_takes_less_than_half_a_second():
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "ops", "--help"]
    times = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        times.append(time.monotonic() - started)
    assert min(times) < 0.5, times


def test_the_continuous_integration_command_is_the_test_verb():
    text = Path(ROOT / ".ci" / "run").read_text()
    assert text.rstrip().endswith("exec ./nexus test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
