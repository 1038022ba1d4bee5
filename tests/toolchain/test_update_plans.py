"""Plans with the real engine: what Pulumi writes down, what it refuses, and that no secret is readable in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops import paths, plan, policy, preview
from ops.errors import Failure
from ops.inputs import Inputs
from ops.session import Session
from ops.workspace import Workspace
from tests.toolchain.conftest import Project

SECRET = "correct-horse-battery-staple-of-the-plan"
PROGRAM = """
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("id", props)
    def diff(self, id, old, new):
        changed = [key for key in ("text", "size", "password") if old.get(key) != new.get(key)]
        return DiffResult(changes=bool(changed), replaces=[key for key in changed if key == "size"])
    def update(self, id, old, new):
        return UpdateResult(new)

class Thing(Resource):
    def __init__(self, name, **props):
        super().__init__(Provider(), name, props)

for name in NAMES:
    Thing(name, text="TEXT", size=SIZE, password=pulumi.Output.secret("SECRET"))
"""


def program(names: tuple[str, ...] = ("a", "b"), text: str = "one", size: int = 1) -> str:
    found = PROGRAM.replace("NAMES", repr(names)).replace("TEXT", text).replace("SIZE", str(size))
    return found.replace("SECRET", SECRET)


@pytest.fixture
def workspace(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A stack that is up, in a repository."""
    monkeypatch.setattr(paths, "PRIVATE", tmp_path / "private")
    for module in ("workspace", "locks"):
        monkeypatch.setattr(f"ops.{module}.PROJECT", "toolchain")
    (project.folder / "policy").symlink_to(policy.folder(paths.ROOT))
    project.write(program())
    project.ok("up", "--yes", "--skip-preview", "-s", "test")
    (project.folder / ".gitignore").write_text(".pulumi/\nprivate/\nPulumi.test.yaml\n")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "first")):
        author = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        subprocess.run(["git", *author, *arguments], cwd=project.folder, check=True)
    return Workspace("test", project.toolchain.pulumi, project.environment(), project.folder)


def session(workspace: Workspace) -> Session:
    return Session(Inputs("test", None, None), "local", workspace)  # type: ignore[arg-type]


def planned(workspace: Workspace, tmp_path: Path) -> plan.Plan:
    """The plan of the program as it is now, through its file."""
    found, _, failure = preview.look(workspace, refresh=False, save_plan=tmp_path / "pulumi.json")
    assert failure is None
    file = tmp_path / "private" / "plan.json"
    plan.write(file, plan.make(session(workspace), found, refresh=False, pulumi=tmp_path / "pulumi.json"))
    return plan.read(str(file))


def run(workspace: Workspace, arguments: list[str]) -> list[dict[str, Any]]:
    return [dict(one) for one in workspace.events("up", "--yes", "--skip-preview", *arguments, timeout=120)]


def test_what_was_planned_is_done_and_the_plan_is_stale_afterwards(
    workspace: Workspace, project: Project, tmp_path: Path
) -> None:
    project.write(program(names=("a", "c"), size=2))
    made = planned(workspace, tmp_path)
    assert sorted((op, urn.split("::")[-1]) for op, _, urn in made.operations) == [
        ("create", "c"), ("delete", "b"), ("replace", "a")
    ]  # fmt: skip
    run(workspace, plan.hold(made, session(workspace)))
    assert set(project.resources()) >= {"a", "c"} and "b" not in project.resources()
    with pytest.raises(Failure, match="stale"):
        plan.hold(made, session(workspace))


def test_another_program_is_refused_before_anything_is_touched(
    workspace: Workspace, project: Project, tmp_path: Path
) -> None:
    project.write(program(text="two"))
    made, before = planned(workspace, tmp_path), project.state()
    project.write(program(names=("a",)))
    with pytest.raises(Failure, match="stale"):
        plan.hold(made, session(workspace))
    with pytest.raises(Failure, match="something else") as caught:
        found, _ = preview.compute(workspace, refresh=False)
        plan.require_same(made, found)
    assert "not planned: delete b" in caught.value.why
    assert project.state() == before


def test_pulumi_holds_each_value_to_its_plan(workspace: Workspace, project: Project, tmp_path: Path) -> None:
    project.write(program(text="two"))
    arguments = plan.hold(planned(workspace, tmp_path), session(workspace))
    project.write(program(text="three"))  # between the comparison and the update
    with pytest.raises(Failure) as caught:
        run(workspace, arguments)
    assert "up failed" in caught.value.what
    assert {one["outputs"]["text"] for one in project.resources().values() if "text" in one.get("outputs", {})} == {
        "one"
    }


def test_no_secret_can_be_read_in_a_plan(workspace: Workspace, project: Project, tmp_path: Path) -> None:
    project.write(program(names=("a", "new"), text="two"))
    made = planned(workspace, tmp_path)
    written = "".join(file.read_text() for file in (tmp_path / "private").rglob("plan*.json"))
    assert made.pulumi and "ciphertext" in written
    assert SECRET not in written and SECRET not in (tmp_path / "pulumi.json").read_text()
    assert SECRET not in json.dumps([str(one) for one in preview.compute(workspace, refresh=False)[0]])


def test_a_stack_that_does_not_exist_is_planned_without_being_made(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace("other", workspace.pulumi, workspace.env, workspace.root)
    (workspace.root / "Pulumi.other.yaml").write_text("config: {}\n")
    found, _, failure = preview.look(other, refresh=False, save_plan=tmp_path / "pulumi.json")
    assert failure is None and {one.op for one in found} == {"create"}
    assert not other.exists() and not (tmp_path / "pulumi.json").exists()
    assert (workspace.root / "Pulumi.other.yaml").read_text() == "config: {}\n"
