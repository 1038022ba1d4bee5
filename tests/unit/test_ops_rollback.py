"""Going back: what cannot be undone is refused by name; other versions come from a real repository."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops import git, irreversible, other_version, paths, rollback, worktrees
from ops.errors import BAD_INPUT, INTERRUPTED, Failure
from ops.irreversible import NoBackups, Obstacle
from ops.preview import Change
from ops.records import Holder, Record, Schema
from ops.workspace import Workspace

SETTINGS = "# Of a test.\nconfig:\n  nexus:images: auto  # whichever\nencryptionsalt: v1:salt\n"


def record(number=1, **known):
    return Record(**{"number": number, "holder": Holder.here(), "result": "good", "settings": SETTINGS, **known})


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A clone with two commits, whose `nexus` prints what it is run with."""
    root = tmp_path / "clone"
    root.mkdir()

    def run(*arguments):
        own = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        subprocess.run(["git", "-C", str(root), *own, *arguments], check=True, capture_output=True)

    run("init", "--initial-branch=main")
    (root / ".gitignore").write_text(".nexus\n.venv\n")
    (root / "nexus").write_text('#!/bin/sh\necho "version one: $* in $PWD; $PULUMI_BACKEND_URL $NEXUS_ROLLBACK_TO"\n')
    (root / "nexus").chmod(0o755)
    (root / "requirements.txt").write_text("")
    (root / "Pulumi.dev.yaml").write_text(SETTINGS)
    run("add", "-A")
    run("commit", "-m", "The first")
    (root / "nexus").write_text('#!/bin/sh\necho "version two"\n')
    run("commit", "-am", "The second")
    (root / ".venv").mkdir()
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(paths, "PRIVATE", root / ".nexus")
    return root


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commits(root):
    return output("git", "-C", str(root), "log", "--format=%H").split()[::-1]


def trees(root):
    return output("git", "-C", str(root), "worktree", "list", "--porcelain").count("worktree ")


def test_a_version_is_its_commit_and_what_differs_from_it_but_for_the_settings(repository):
    found = git.version("dev")
    assert (found.commit, found.author, found.subject) == (
        commits(repository)[1],
        "Ann <ann@example.com>",
        "The second",
    )
    (repository / "Pulumi.dev.yaml").write_text("config: {}\n")
    assert git.version("dev").dirty == ()
    (repository / "nexus").write_text("changed")
    (repository / "new ünd odd\n.py").write_text("")
    assert set(git.version("dev").dirty) == {"nexus", "new ünd odd\n.py"}
    assert git.version("prod").dirty.count("Pulumi.dev.yaml") == 1, "another stack's settings are the program's files"


def test_a_project_that_is_not_under_git_has_no_version(tmp_path):
    assert git.version("dev", tmp_path) == git.Version()


def test_the_way_between_two_commits_says_which_are_left_and_which_come(repository):
    first, second = commits(repository)
    assert [line.split(" ", 2)[::2] for line in git.between(first, second)] == [[">", "The second"]]
    assert [line.split(" ", 2)[::2] for line in git.between(second, first)] == [["<", "The second"]]


def test_another_version_runs_in_a_folder_of_its_own_that_is_gone_afterwards(repository, tmp_path):
    space = Workspace("dev", Path("/bin/false"), {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state"}, repository)
    env = other_version.environment(space, "local", 3)
    with worktrees.at(commits(repository)[0], lambda _: None) as project:
        code, said = other_version.answer(project, ["preview", "dev"], env)
        assert (code, said) == (0, f"version one: preview dev in {project}; file://{tmp_path}/state 3\n")
        assert (project / ".venv").resolve() == (repository / ".venv").resolve(), "it pins the same packages"
        (project / ".nexus/logs/one").write_text("kept")
        assert git.version("dev", project).dirty == ()
        assert trees(repository) == 2
    assert not project.exists() and trees(repository) == 1
    assert (repository / ".nexus/logs/one").read_text() == "kept"
    assert list((repository / ".nexus/versions").iterdir()) == []


def test_a_folder_is_gone_after_a_failure_too(repository):
    with pytest.raises(Failure, match="git worktree add"), worktrees.at("0" * 40, lambda _: None):
        pytest.fail("there is no such commit")
    with pytest.raises(RuntimeError), worktrees.at(commits(repository)[0], lambda _: None):
        raise RuntimeError
    assert trees(repository) == 1 and list((repository / ".nexus/versions").iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from ops import paths, worktrees
paths.ROOT = Path(sys.argv[1])
paths.PRIVATE = paths.ROOT / ".nexus"
with worktrees.at(sys.argv[2], print) as project:
    print(project, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not(repository):
    command = [sys.executable, "-c", HOLD, str(repository), commits(repository)[0]]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    project = Path(process.stdout.readline().strip())
    try:
        worktrees.sweep(pytest.fail)
        assert (project / "nexus").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        said = []
        worktrees.sweep(said.append)
        assert not project.exists() and trees(repository) == 1 and "killed" in said[0]
        worktrees.sweep(pytest.fail)
    finally:
        process.kill()
        process.communicate()


def test_packages_of_other_pins_are_installed_once_and_the_last_used_are_kept(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    older = [tmp_path / "cache/venvs" / str(number) for number in range(5)]
    for number, folder in enumerate(older):
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("# other pins\n")
    made = worktrees.packages(project, lambda _: None)
    python = made / "bin/python"
    assert output(str(python), "-c", "print('runs')") == "runs\n"
    assert [folder.exists() for folder in older] == [False, False, True, True, True]
    before = python.lstat().st_ino
    assert worktrees.packages(project, lambda _: None) == made and python.lstat().st_ino == before


def test_ctrl_c_is_passed_on_to_the_other_version_and_its_end_waited_for(tmp_path):
    script = tmp_path / "nexus"
    script.write_text(
        "#!/bin/sh\ntrap 'sleep 0.3; echo ended; exit 130' INT\necho began\nsleep 20 >/dev/null & wait $!\n"
    )
    script.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from ops import other_version\n"
        "sys.exit(other_version.run(Path(sys.argv[1]), ['up'], {'PATH': '/usr/bin:/bin'}))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "began\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "ended\n" and process.returncode == 130


def test_paths_are_absolute_for_a_version_that_runs_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    env = {"PULUMI_BACKEND_URL": "file://./state?no_tmp_dir=true", "PULUMI_CONFIG_PASSPHRASE_FILE": "secret", "X": "1"}
    found = other_version.environment(Workspace("dev", Path("/bin/false"), env, tmp_path), "local", 1, {"PATH": "/bin"})
    assert found["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/state?no_tmp_dir=true"
    assert found["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(tmp_path / "secret")
    assert found["PATH"] == "/bin" and "X" not in found, "the toolchain of this version is not that of the other"


@pytest.mark.parametrize(
    ("then", "settings", "source", "option"),
    [
        ("local", "auto", "local", []),
        ("upstream", "auto", "local", ["--source", "upstream"]),
        ("upstream", "upstream", "local", []),
        ("local", "upstream", "upstream", ["--source", "local"]),
    ],
)
def test_the_images_come_from_where_they_came_from(then, settings, source, option):
    target = record(source=then, settings=f"config: {{nexus:images: {settings}}}\n")
    assert other_version.image_source(target, source) == option


ITEMS = {"users": Schema(history="items", revisions=("0001",))}
NEWER = {name: Schema(history="items", revisions=("0001", "0002")) for name in ("users", "files")}


def rotation(**counts):
    return SETTINGS.replace(
        "config:\n", f"config:\n  nexus:rotations: {{{', '.join(f'{k}: {v}' for k, v in counts.items())}}}\n"
    )


def names(found):
    return [obstacle.name for obstacle in found]


def test_changes_that_were_not_committed_are_lost():
    (found,) = irreversible.uncommitted(record(dirty=("ops/up.py",)))
    assert found.name == "uncommitted" and "ops/up.py" in found.says
    assert names(irreversible.uncommitted(record())) == []


def test_a_schema_does_not_go_back_whether_the_newer_update_went_well_or_not():
    target = record(schemas=ITEMS)
    for result in ("good", "failed", "killed"):
        (found,) = irreversible.migrated(target, [record(2, schemas=NEWER, result=result)], NoBackups())
        assert found.name == "migration:items:0002" and "users" in found.says and "no backup" in found.says
        assert "files" not in found.says, "it was not there then: its database is not asked for"
    assert names(irreversible.migrated(target, [record(2, schemas=ITEMS)], NoBackups())) == []


def test_a_backup_of_then_is_said():
    class Nightly:
        def of(self, record):
            return f"nightly-{record.number}"

    (found,) = irreversible.migrated(record(schemas=ITEMS), [record(2, schemas=NEWER)], Nightly())
    assert "backup nightly-1 has the data" in found.says


def test_a_rotated_secret_stays_as_it_is():
    target = record(settings=rotation(redis=1))
    later = [record(2, settings=rotation(redis=2, postgres=1)), record(3, settings=rotation(redis=1))]
    assert names(irreversible.rotated(target, later)) == ["rotation:redis", "rotation:postgres"]
    kept = irreversible.config(irreversible.settings(target, SETTINGS, later, ()))
    assert kept["nexus:rotations"] == {"redis": 2, "postgres": 1}


def test_data_that_was_deleted_since_does_not_come_back():
    target = record(volumes={"a": "monday", "b": "monday", "c": "monday"})
    found = list(irreversible.deleted(target, {"a": "monday", "b": "tuesday"}, NoBackups()))
    assert names(found) == ["data:b", "data:c"]
    assert "another one now" in found[0].says and "is gone" in found[1].says


def test_a_rollback_that_would_itself_delete_data_says_so():
    changes = [
        Change(op, token, name, ())
        for op, token, name in [
            ("delete", "docker:index/volume:Volume", "postgres-data"),
            ("create", "docker:index/volume:Volume", "redis-data"),
            ("delete", "docker:index/container:Container", "redis-server"),
        ]
    ]
    assert names(irreversible.deleting(changes)) == ["delete:postgres-data"]


def test_a_reference_that_means_another_image_now_is_said():
    target = record(images={"a:1": "sha256:1", "b:1": "sha256:2", "c:1": "sha256:3"})
    now = {"a:1": "sha256:1", "b:1": "sha256:9"}
    assert names(irreversible.moved(target, now.get)) == ["image:b:1"], "one that is not here is built or pulled again"


def test_settings_come_back_as_they_were_with_todays_encryption():
    assert irreversible.settings(record(), SETTINGS, [], ()) == SETTINGS
    found = irreversible.settings(record(), SETTINGS.replace("v1:salt", "v1:other"), [], ())
    assert found == SETTINGS.replace("v1:salt", "v1:other"), "comments and order are kept"
    secret = SETTINGS.replace("auto  # whichever", "auto\n  nexus:ai: {key: {secure: v1:abc}}")
    assert irreversible.other_passphrase(record(settings=secret), SETTINGS.replace("v1:salt", "v1:other"))
    assert not irreversible.other_passphrase(record(settings=secret), SETTINGS)
    assert not irreversible.other_passphrase(record(), SETTINGS.replace("v1:salt", "v1:other"))


def test_an_accepted_revision_is_acknowledged_for_the_older_version():
    target, later = record(schemas=ITEMS), [record(2, schemas=NEWER)]
    found = irreversible.config(irreversible.settings(target, SETTINGS, later, {"migration:items:0002"}))
    assert found["nexus:services"] == {"users": {"acknowledged": ["0002"]}}
    assert irreversible.settings(target, SETTINGS, later, ()) == SETTINGS


FOUND = [Obstacle("data:a", "the volume a is gone"), Obstacle("rotation:redis", "redis was rotated")]


def test_what_is_not_undone_is_refused_until_each_was_accepted_by_its_name(capsys):
    rollback.refuse("dev", record(), [], ())
    rollback.refuse("dev", record(), FOUND, {"data:a", "rotation:redis"})
    for accepted in ((), ("data:a",)):
        with pytest.raises(Failure) as caught:
            rollback.refuse("dev", record(), FOUND, accepted)
        assert caught.value.code == BAD_INPUT
        assert "redis was rotated" in caught.value.why and ("the volume a" in caught.value.why) == (not accepted)
        assert "--accept 'data:a' --accept 'rotation:redis'" in caught.value.remedy
    with pytest.raises(Failure, match="no 'data:b' to accept") as caught:
        rollback.refuse("dev", record(), FOUND, {"data:b"})
    assert "data:a" in caught.value.why


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"result": "failed"}, "did not end well (failed)"),
        ({"result": "killed"}, "did not end well (killed)"),
        ({"kind": "down"}, "removed the environment"),
        ({"commit": ""}, "not under git"),
        ({"commit": "0" * 40}, "git fetch"),
    ],
)
def test_a_version_that_cannot_be_had_is_refused(repository, known, words):
    with pytest.raises(Failure) as caught:
        rollback.require("dev", record(**{"commit": commits(repository)[0], **known}), SETTINGS)
    assert words in str(caught.value) and caught.value.code == BAD_INPUT
    rollback.require("dev", record(commit=commits(repository)[0]), SETTINGS)


def test_the_settings_that_run_become_the_trees_and_those_before_are_kept(repository, capsys):
    file = repository / "Pulumi.dev.yaml"
    rollback.take_over("dev", file, SETTINGS)
    assert not (repository / ".nexus").exists() and commits(repository)[1][:12] in capsys.readouterr().out
    rollback.take_over("dev", file, "config: {}\n")
    (kept,) = (repository / ".nexus/replaced-settings").iterdir()
    assert (file.read_text(), kept.read_text(), kept.stat().st_mode & 0o777) == ("config: {}\n", SETTINGS, 0o600)
    said = capsys.readouterr().out
    assert str(kept) in said and "goes forward" in said


def test_how_the_other_version_ended_is_how_the_rollback_ends():
    rollback.end("dev", record(), 0)
    rollback.end("dev", record(), 5)
    with pytest.raises(KeyboardInterrupt):
        rollback.end("dev", record(), INTERRUPTED)
    with pytest.raises(Failure) as caught:
        rollback.end("dev", record(), 4)
    assert caught.value.code == 4 and "as it was" in caught.value.remedy
