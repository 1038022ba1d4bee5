"""Who holds a stack: real processes, real lock files."""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

import psutil
import pytest

from ops import locks, orphans
from ops.errors import LOCKED, Failure
from ops.locks import ALIVE, DEAD, FOREIGN
from ops.paths import ROOT
from ops.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    env = {"PULUMI_BACKEND_URL": tmp_path.as_uri()}
    (tmp_path / ".pulumi" / "locks" / "organization" / "nexus" / "dev").mkdir(parents=True)
    return Workspace("dev", Path("/bin/false"), env, tmp_path)


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def write(workspace, pid, host=None, taken=None, name="a"):
    stamp = datetime.fromtimestamp(time.time() if taken is None else taken, UTC).strftime(
        "%Y-%m-%dT%H:%M:%S.123456789Z"
    )
    path = workspace.backend / ".pulumi" / "locks" / "organization" / "nexus" / "dev" / f"{name}.json"
    path.write_text(json.dumps({"pid": pid, "username": "me", "hostname": host or platform.node(), "timestamp": stamp}))
    Path(f"{path}.attrs").touch()
    return path


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_lock_of_a_process_that_is_gone_is_removed_and_said(workspace):
    path = write(workspace, dead_pid())
    said = []
    assert locks.settle(workspace, 0, said.append) is True
    assert list(path.parent.iterdir()) == []
    assert "a run that died" in said[0]


def test_a_number_given_to_a_younger_process_does_not_keep_a_lock(workspace, sleeper):
    path = write(workspace, sleeper.pid, taken=time.time() - 3600)
    assert locks.state_of(locks.read(path)) == DEAD


def test_the_lock_of_a_living_process_is_never_removed(workspace, sleeper):
    path = write(workspace, sleeper.pid)
    assert locks.state_of(locks.read(path)) == ALIVE
    with pytest.raises(Failure) as caught:
        locks.settle(workspace, 0.3, lambda _: None)
    assert caught.value.code == LOCKED
    assert str(sleeper.pid) in caught.value.what and "me" in caught.value.what
    assert path.exists()


def test_a_lock_from_another_host_is_never_removed_even_if_the_number_is_free_here(workspace):
    path = write(workspace, dead_pid(), host="elsewhere")
    assert locks.state_of(locks.read(path)) == FOREIGN
    with pytest.raises(Failure, match="elsewhere") as caught:
        locks.settle(workspace, 0, lambda _: None)
    assert "pulumi cancel" in caught.value.remedy
    assert path.exists()


def test_a_holder_that_ends_in_time_is_waited_for_and_named(workspace, sleeper):
    path = write(workspace, sleeper.pid)
    said = []
    timer = Timer(0.4, path.unlink)
    timer.start()
    assert locks.settle(workspace, 10, said.append) is False
    timer.join()
    assert any("waiting for" in line and str(sleeper.pid) in line for line in said)


def test_a_zombie_holds_nothing(workspace):
    process = subprocess.Popen(["true"])
    time.sleep(0.2)
    path = write(workspace, process.pid)
    assert locks.state_of(locks.read(path)) == DEAD
    process.wait()


def test_a_torn_lock_file_is_nobodys_once_it_is_old(workspace):
    path = write(workspace, 1)
    path.write_text('{"pid": 1')
    assert locks.read(path) is None
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert locks.state_of(locks.read(path)) == DEAD


def test_other_backends_keep_their_own_locks(tmp_path):
    workspace = Workspace("dev", Path("/bin/false"), {"PULUMI_BACKEND_URL": "s3://bucket"}, tmp_path)
    assert locks.pulumi_locks(workspace) == []


HOLD = """
import sys, time
from pathlib import Path
from ops import locks
with locks.hold("dev", "up dev", 0, print, Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_verb_on_a_stack_is_told_who_has_it(holder, tmp_path):
    said = []
    with pytest.raises(Failure) as caught, locks.hold("dev", "down dev", 0.3, said.append, tmp_path):
        pytest.fail("both hold it")
    assert caught.value.code == LOCKED
    assert "nexus up dev" in caught.value.what and str(holder.pid) in caught.value.what


def test_a_killed_verb_gives_its_lock_back(holder, tmp_path):
    holder.kill()
    holder.wait()
    with locks.hold("dev", "up dev", 0, lambda _: None, tmp_path):
        assert json.loads((tmp_path / "dev.json").read_text())["pid"] == os.getpid()


def test_stacks_do_not_wait_for_each_other(holder, tmp_path):
    with locks.hold("prod", "up prod", 0, lambda _: pytest.fail("waited"), tmp_path):
        assert (tmp_path / "prod.json").exists()


CONTEND = """
import os, sys, time
from pathlib import Path
from ops import locks
folder = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locks.hold("dev", "up dev", 300, lambda _: None, folder):
        os.close(os.open(folder / "writer", os.O_CREAT | os.O_EXCL))  # whoever finds it is not alone
        if len(sys.argv) > 3:
            print("inside", flush=True)
            time.sleep(60)
        time.sleep(0.002)
        (folder / "writer").unlink()
        with (folder / "written").open("a") as log:
            log.write("once\\n")
"""


def contender(folder, *arguments):
    command = [sys.executable, "-c", CONTEND, str(folder), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_twenty_who_want_a_stack_twenty_times_never_two_have_it_also_after_a_kill(tmp_path):
    victim = contender(tmp_path, "1", "stay")
    assert victim.stdout.readline() == "inside\n"
    others = [contender(tmp_path, "20") for _ in range(20)]
    time.sleep(1)
    assert not (tmp_path / "written").exists(), "they wait"
    (tmp_path / "writer").unlink()  # what it was at; a real one's is repaired by the next `up`
    victim.kill()
    victim.communicate()
    ends = [process.communicate(timeout=300) for process in others]
    assert [process.returncode for process in others] == [0] * 20, [error[-500:] for _, error in ends if error]
    assert (tmp_path / "written").read_text() == "once\n" * 400


def plugin(backend, name="pulumi-resource-thing"):
    """A process that looks like a plugin whose engine listens on port 1."""
    env = {**os.environ, "PULUMI_BACKEND_URL": backend}
    command = [sys.executable, "-c", "import time; time.sleep(60)", name, "127.0.0.1:1"]
    return subprocess.Popen(command, env=env)


def test_plugins_that_a_killed_run_left_are_ended_and_those_of_other_backends_are_not():
    ours, theirs = plugin("file:///ours"), plugin("file:///theirs")
    bystander = plugin("file:///ours", name="editor")
    try:
        time.sleep(0.3)
        said = []
        assert orphans.end("file:///ours", said.append) == 1
        ours.wait(5)
        assert not psutil.pid_exists(ours.pid)
        assert theirs.poll() is None and bystander.poll() is None
        assert str(ours.pid) in said[0]
    finally:
        for process in (ours, theirs, bystander):
            process.kill()
            process.wait()


def test_a_plugin_of_a_living_engine_is_left_alone(tmp_path):
    engine = tmp_path / "pulumi"
    engine.write_text(
        "import subprocess, sys, time\n"
        "plugin = ['-c', 'import time; time.sleep(60)', 'pulumi-resource-x', '127.0.0.1:1']\n"
        "child = subprocess.Popen([sys.executable, *plugin])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.symlink_to(sys.executable)
    env = {**os.environ, "PULUMI_BACKEND_URL": "file:///ours", "PYTHONHOME": sys.base_prefix}
    process = subprocess.Popen([str(program), str(engine)], env=env, stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    try:
        assert orphans.end("file:///ours", lambda _: None) == 0
        os.kill(child, 0)
    finally:
        os.kill(child, 9)
        process.communicate()
