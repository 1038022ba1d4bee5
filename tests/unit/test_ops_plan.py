"""Plans: what they are made from, when they are stale, and that `up` holds itself to one before it touches anything."""

from __future__ import annotations

import json
import stat
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from ops import plan, preview, session, up
from ops.changes import Change
from ops.errors import BAD_INPUT, FAILED, Failure
from ops.events import Tracker
from ops.inputs import Inputs
from ops.paths import ROOT
from ops.session import Session
from ops.steps import Property
from ops.workspace import Workspace

SCHEMA = json.loads((ROOT / "docs/schemas/plan.schema.json").read_text())
SETTINGS = "config:\n  nexus:portOffset: 100\n"


def git(root: Path, *arguments: str) -> str:
    name = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    return subprocess.run(["git", *name, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A repository with a program, the settings of a stack, and its state in a file backend."""
    root = tmp_path / "project"
    (root / "infra").mkdir(parents=True)
    (root / "infra" / "program.py").write_text("one = 1\n")
    (root / ".gitignore").write_text("ignored/\n")
    (root / "Pulumi.dev.yaml").write_text(SETTINGS)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    made = Workspace("dev", Path("pulumi"), {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state"}, root)
    write_state(made, "2026-11-23T08:00:00Z")
    return made


def write_state(workspace: Workspace, time: str, resources: int = 3) -> None:
    assert workspace.state_file
    workspace.state_file.parent.mkdir(parents=True, exist_ok=True)
    latest = {"manifest": {"time": time}, "resources": [{}] * resources}
    workspace.state_file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))


def of(workspace: Workspace) -> Session:
    return Session(Inputs("dev", None, None), "local", workspace)  # type: ignore[arg-type]


def change(name: str, op: str = "update", path: str = "memory") -> Change:
    urn = f"urn:pulumi:dev::nexus::a:b:C::{name}"
    return Change(op, "a:b:C", name, urn, (Property(path, "update", 1, 2),))


CHANGES = [change("a"), change("b", "delete")]


@pytest.fixture
def made(workspace: Workspace, tmp_path: Path) -> plan.Plan:
    return plan.make(of(workspace), CHANGES, refresh=False, pulumi=tmp_path / "none")


def test_a_plan_is_written_for_its_owner_alone_and_read_back_as_it_was(made: plan.Plan, tmp_path: Path) -> None:
    file = plan.target(str(tmp_path / "plan.json"))
    own = replace(made, pulumi={"resourcePlans": {}})
    plan.write(file, own)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(file.read_text()))
    assert plan.read(str(file)) == own
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_plan_of_a_ground_that_stayed_is_fresh(made: plan.Plan, workspace: Workspace) -> None:
    plan.require_fresh(made, plan.ground(of(workspace)))


def refused(made: plan.Plan, workspace: Workspace) -> str:
    with pytest.raises(Failure, match="stale") as caught:
        plan.require_fresh(made, plan.ground(of(workspace)))
    assert caught.value.code == BAD_INPUT and "--save-plan" in caught.value.remedy
    return caught.value.why


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("file", ["infra/program.py", "infra/new.py"])
def test_other_files_make_it_stale_whether_they_are_committed_or_not(
    made: plan.Plan, workspace: Workspace, file: str, commit: bool
) -> None:
    (workspace.root / file).write_text("two = 2\n")
    if commit:
        git(workspace.root, "add", ".")
        git(workspace.root, "commit", "--quiet", "-m", "second")
    assert refused(made, workspace) == f"the files are not those it was made from (commit {made.commit[:12]})"


def test_another_commit_with_the_same_files_does_not(made: plan.Plan, workspace: Workspace) -> None:
    git(workspace.root, "commit", "--quiet", "--allow-empty", "-m", "a merge of what was reviewed")
    plan.require_fresh(made, plan.ground(of(workspace)))


def test_what_git_ignores_or_lies_beside_the_program_does_not(made: plan.Plan, workspace: Workspace) -> None:
    (workspace.root / "plan-dev.json").write_text("{}")
    (workspace.root / "ignored").mkdir()
    (workspace.root / "ignored" / "x").write_text("x")
    plan.require_fresh(made, plan.ground(of(workspace)))


def test_other_settings_make_it_stale_and_the_salt_is_none(made: plan.Plan, workspace: Workspace) -> None:
    file = workspace.root / "Pulumi.dev.yaml"
    file.write_text(f"encryptionsalt: v1:abc\n{SETTINGS}# a remark\n")
    plan.require_fresh(made, plan.ground(of(workspace)))
    file.write_text(SETTINGS.replace("100", "200"))
    assert refused(made, workspace) == "the settings in Pulumi.dev.yaml are others"


@pytest.mark.parametrize("change", [("2026-11-23T09:00:00Z", 3), ("2026-11-23T08:00:00Z", 4)])
def test_a_state_that_was_written_since_makes_it_stale(
    made: plan.Plan, workspace: Workspace, change: tuple[str, int]
) -> None:
    write_state(workspace, *change)
    assert "the state was written since: was 2026-11-23T08:00:00Z 3 resources" in refused(made, workspace)


def test_a_stack_that_was_made_or_removed_since_makes_it_stale(made: plan.Plan, workspace: Workspace) -> None:
    assert workspace.state_file
    workspace.state_file.unlink()
    assert refused(made, workspace).endswith("is no stack")
    plan.require_fresh(replace(made, state=""), plan.ground(of(workspace)))
    write_state(workspace, "2026-11-23T10:00:00Z")
    assert "was no stack" in refused(replace(made, state=""), workspace)


def test_a_plan_from_another_source_is_refused(made: plan.Plan, workspace: Workspace) -> None:
    told = refused(replace(made, source="upstream"), workspace)
    assert told == "it was made with --source upstream, this is local"


def test_a_plan_of_another_stack_is_refused(made: plan.Plan, workspace: Workspace) -> None:
    assert "it is of the stack prod, not dev" in refused(replace(made, stack="prod"), workspace)


def test_git_is_left_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / "infra" / "new.py").write_text("x = 1\n")
    before = sorted(path for path in (workspace.root / ".git").rglob("*") if path.is_file())
    plan.tree(workspace.root, "Pulumi.dev.yaml")
    assert sorted(path for path in (workspace.root / ".git").rglob("*") if path.is_file()) == before
    assert git(workspace.root, "status", "--porcelain") == "?? infra/new.py\n"


def test_without_a_repository_there_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="git rev-parse failed"):
        plan.tree(tmp_path, "Pulumi.dev.yaml")


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ([*CHANGES, change("c", "replace")], "not planned: replace c (a:b:C)"),
        (CHANGES[:1], "planned, but not to do: delete b (a:b:C)"),
        ([change("a", "delete"), CHANGES[1]], "not planned: delete a (a:b:C)"),
        ([change("a", path="image"), CHANGES[1]], "the same resources, but other properties of them"),
        ([], "planned, but not to do: update a (a:b:C)"),
    ],
)
def test_another_result_is_refused_and_says_what_is_different(made: plan.Plan, now: list[Change], told: str) -> None:
    with pytest.raises(Failure, match="something else than was planned; nothing was touched") as caught:
        plan.require_same(made, now)
    assert told in caught.value.why and caught.value.code == FAILED


def test_the_same_result_in_another_order_is_the_same(made: plan.Plan) -> None:
    plan.require_same(made, CHANGES[::-1])


@pytest.mark.parametrize("content", ["", "{}", "[]", "nonsense", '{"version": 2}', '{"version": 1, "stack": "dev"}'])
def test_what_is_no_plan_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(content)
    with pytest.raises(Failure, match="is no plan") as caught:
        plan.read(str(file))
    assert caught.value.code == BAD_INPUT
    with pytest.raises(Failure, match="is no plan"):
        plan.read(str(tmp_path / "nowhere.json"))


def test_where_no_plan_can_be_written_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="is no folder"):
        preview.run(
            "dev", None, form="json", refresh=False, expect_no_changes=False, save_plan=f"{tmp_path}/nowhere/plan.json"
        )


# `up --plan`


@pytest.fixture
def steps(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What `up` does, in order; what it would do is CHANGES."""
    done: list[Any] = []

    def computed(_: Workspace, *, refresh: bool) -> tuple[list[Change], Tracker]:
        done.append(("computed", refresh))
        return CHANGES, Tracker()

    def provisioned(_: Session, **how: Any) -> Tracker:
        done.append(("provisioned", how["refresh"], how["held"]))
        return Tracker()

    monkeypatch.setattr(session, "begin", lambda *_, **__: of(workspace))
    monkeypatch.setattr(preview, "compute", computed)
    monkeypatch.setattr(up, "provision", provisioned)
    monkeypatch.setattr(up.majors, "check", lambda *_: None)
    monkeypatch.setattr(up.recording, "update", lambda *_, **__: nullcontext(SimpleNamespace(healthy=list)))
    monkeypatch.setattr(up, "settled", lambda _: [])
    monkeypatch.setattr(up, "finish", lambda *_: None)
    monkeypatch.setattr("ops.paths.PRIVATE", tmp_path / "private")
    monkeypatch.setattr(plan.files, "__defaults__", (workspace.root,))
    return done


def ran(made: plan.Plan, tmp_path: Path) -> int:
    file = tmp_path / "plan.json"
    plan.write(file, made)
    return up.run("dev", None, refresh=True, lock_timeout=1, timeout=60, plan_file=str(file))


def test_up_does_what_was_planned_and_holds_pulumi_to_it(made: plan.Plan, steps: list[Any], tmp_path: Path) -> None:
    assert ran(replace(made, pulumi={"resourcePlans": {"x": 1}}), tmp_path) == 0
    own = tmp_path / "private" / "plan-dev.json"
    assert steps == [("computed", False), ("provisioned", False, ["--plan", str(own)])], "refreshed as the plan was"
    assert json.loads(own.read_text()) == {"resourcePlans": {"x": 1}}
    assert stat.S_IMODE(own.stat().st_mode) == 0o600


def test_up_of_a_new_stack_is_held_by_the_digest_alone(made: plan.Plan, steps: list[Any], tmp_path: Path) -> None:
    assert ran(made, tmp_path) == 0
    assert steps == [("computed", False), ("provisioned", False, [])]


def test_up_touches_nothing_when_the_plan_is_stale(made: plan.Plan, steps: list[Any], tmp_path: Path) -> None:
    with pytest.raises(Failure, match="stale"):
        ran(replace(made, settings="other"), tmp_path)
    assert steps == []


def test_up_touches_nothing_when_it_would_do_something_else(made: plan.Plan, steps: list[Any], tmp_path: Path) -> None:
    with pytest.raises(Failure, match="something else"):
        ran(replace(made, digest="other"), tmp_path)
    assert steps == [("computed", False)]
