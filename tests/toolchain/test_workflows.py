"""The workflows: their syntax, what they may do, and their steps' own commands, run one after the other."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ops import artifacts, cli, preview_markdown
from tests.unit.github import TOKEN, GitHub, serve

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
NOT_A_FORK = "github.event.pull_request.head.repo.full_name == github.repository"
PASSPHRASE = "a passphrase of the tests"


def triggers(workflow: dict[Any, Any]) -> set[str]:
    return set(workflow[True])  # YAML 1.1 reads `on` as true


def steps(name: str, job: str) -> list[dict[str, Any]]:
    return WORKFLOWS[name]["jobs"][job].get("steps", [])


# what they say


def test_actionlint_finds_nothing() -> None:
    program = artifacts.build("actionlint", print)
    done = subprocess.run([program, "-no-color", *FILES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((ROOT / ".github/workflows/preview.yml").read_text().replace("matrix.stack", "matrix.stak"))
    done = subprocess.run(
        [artifacts.build("actionlint", print), "-no-color", wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "stak" in done.stdout


def test_all_environments_are_previewed_and_looked_at() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "Pulumi.*.yaml"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    environments = sorted(name.split(".")[1] for name in listed)
    for name, job in (("preview", "preview"), ("drift", "drift")):
        assert WORKFLOWS[name]["jobs"][job]["strategy"]["matrix"]["stack"] == environments
    commented = steps("preview", "comment")[-1]["run"]
    assert re.findall(r"preview-(\w+)\.json", commented) == environments
    deployed = WORKFLOWS["deploy"]["jobs"].values()
    assert sorted({job["with"]["stack"] for job in deployed}) == environments


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nobody_may_do_more_than_needed(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in triggers(workflow), "it would give a fork's pull request the secrets"
    more = {job: made["permissions"] for job, made in workflow["jobs"].items() if "permissions" in made}
    assert more == ({"comment": {"contents": "read", "pull-requests": "write"}} if name == "preview" else {})


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_fork_gets_no_secrets(name: str, job: str) -> None:
    made = WORKFLOWS[name]["jobs"][job]
    if triggers(WORKFLOWS[name]) & {"pull_request"} and "secrets." in json.dumps(made):
        assert made["if"] == NOT_A_FORK
    if made.get("needs") == "preview":
        assert "needs.preview.result != 'skipped'" in made["if"], "what is left out for a fork takes this with it"


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_expression_becomes_part_of_a_command(name: str, job: str) -> None:
    for step in steps(name, job):
        assert "${{" not in step.get("run", ""), "a name or title could be a command: pass it by `env`"


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_the_passphrase_is_given_to_one_step_alone_and_removed_at_the_end(name: str, job: str) -> None:
    holding = [number for number, step in enumerate(steps(name, job)) if "secrets." in json.dumps(step)]
    assert "secrets." not in json.dumps(WORKFLOWS[name]["jobs"][job].get("env", {}))
    if holding:
        removing = next(step for step in steps(name, job) if "rm -f" in step.get("run", ""))
        assert len(holding) == 1 and removing["if"] == "always()"


def test_production_waits_for_whoever_its_environment_names() -> None:
    assert WORKFLOWS["up"]["jobs"]["up"]["environment"] == "${{ inputs.stack }}"
    jobs = WORKFLOWS["deploy"]["jobs"]
    assert jobs["prod"]["needs"] == "plan-prod" and jobs["plan-prod"]["needs"] == "dev"


def test_every_verb_is_one_of_the_command_line() -> None:
    known = set(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
    used = {verb for path in FILES for verb in re.findall(r"\./nexus (\w+)", path.read_text())}
    assert {"preview", "comment", "up", "drift", "test"} <= used <= known


# what they do


@dataclass
class Runner:
    """Runs the `run` lines of a job as the runner does: `bash -e`, with its files and variables."""

    folder: Path
    variables: dict[str, str]
    said: str = ""
    modes: list[int] = field(default_factory=list)

    @property
    def temp(self) -> Path:
        return self.folder / "temp"

    def job(self, name: str, job: str, stack: str = "", **fakes: str) -> bool:
        """Whether every step succeeded; after one that did not, only those run that always do."""
        known = {
            "matrix.stack": stack, "inputs.stack": stack, "github.token": TOKEN,
            "secrets.PULUMI_CONFIG_PASSPHRASE": PASSPHRASE, "vars.PULUMI_BACKEND_URL": "",
        }  # fmt: skip

        def evaluated(env: dict[str, str]) -> dict[str, str]:
            return {key: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], text) for key, text in env.items()}

        own, fine = evaluated(WORKFLOWS[name]["jobs"][job].get("env", {})), True
        for step in steps(name, job):
            if "run" in step and (fine or step.get("if") == "always()"):
                env = {**self.variables, **own, **self._kept(), **evaluated(step.get("env", {})), **fakes}
                fine = self._step(step["run"], env) and fine
        (self.folder / "env").write_text("")
        return fine

    def _step(self, script: str, env: dict[str, str]) -> bool:
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        self.said += done.stdout + done.stderr
        self.modes += [stat.S_IMODE(file.stat().st_mode) for file in self.temp.glob("passphrase")]
        return done.returncode == 0

    def _kept(self) -> dict[str, str]:
        lines = (self.folder / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with serve() as made:
        yield made


@pytest.fixture
def runner(tmp_path: Path, hub: GitHub) -> Iterator[Runner]:
    """A checkout with a `nexus` that has recorded plans, and an event of a pull request."""
    (tmp_path / "temp").mkdir()
    (tmp_path / "env").touch()
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": {"number": hub.number}}))
    program = tmp_path / "nexus"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/toolchain/nexus_of_workflows.py "$@"\n')
    program.chmod(0o755)
    made = Runner(tmp_path, {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_ENV": str(tmp_path / "env"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_API_URL": hub.url,
        "GITHUB_REPOSITORY": "acme/nexus", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "42",
        "FAKE_PLAN": "memory",
    })  # fmt: skip
    yield made
    assert PASSPHRASE not in made.said and TOKEN not in made.said
    assert not (made.temp / "passphrase").exists() and set(made.modes) <= {0o600}


def previews(runner: Runner, **fakes: str) -> list[bool]:
    return [runner.job("preview", "preview", stack, **fakes) for stack in ("dev", "prod")]


def test_a_pull_request_gets_one_comment_which_the_next_push_renews(runner: Runner, hub: GitHub) -> None:
    assert previews(runner, FAKE_PLAN_OF_PROD="labels") == [True, True], runner.said
    assert runner.job("preview", "comment"), runner.said
    (one,) = hub.comments
    assert "### `dev`: 3 to update" in one["body"] and "### `prod`: 1 to replace" in one["body"]
    assert "https://github.com/acme/nexus/actions/runs/42" in one["body"]
    plans = [json.loads((runner.temp / "preview" / f"plan-{stack}.json").read_text()) for stack in ("dev", "prod")]
    assert [len(one["operations"]) for one in plans] == [3, 18]
    assert all(previews(runner)) and runner.job("preview", "comment"), runner.said
    assert hub.comments == [one] and "### `prod`: 3 to update" in one["body"]


def test_a_preview_that_fails_fails_its_job_and_is_told_in_the_comment(runner: Runner, hub: GitHub) -> None:
    assert previews(runner, FAKE_PLAN_OF_PROD="none") == [True, False]
    assert "the program failed" in runner.said
    assert runner.job("preview", "comment"), runner.said
    assert "### `prod`: no preview" in hub.comments[0]["body"]


def test_a_token_that_may_not_write_fails_the_step_with_the_reason(runner: Runner, hub: GitHub) -> None:
    assert all(previews(runner))
    hub.answers = [(403, {}, "Resource not accessible by integration")] * 9
    assert not runner.job("preview", "comment")
    assert "pull-requests: write" in runner.said


def test_what_was_planned_and_read_is_what_is_deployed(runner: Runner) -> None:
    assert runner.job("plan", "plan", "prod"), runner.said
    summary = (runner.folder / "summary.md").read_text()
    assert summary.startswith(preview_markdown.MARKER) and "### `prod`: 3 to update" in summary
    assert runner.job("up", "up", "prod"), runner.said
    assert (runner.temp / "provisioned").read_text() == "prod []"


def test_a_plan_that_no_longer_holds_is_not_deployed(runner: Runner) -> None:
    assert runner.job("plan", "plan", "prod"), runner.said
    assert not runner.job("up", "up", "prod", FAKE_PLAN="labels")
    assert "something else than was planned; nothing was touched" in runner.said
    assert not (runner.temp / "provisioned").exists()


@pytest.mark.parametrize("code", [0, 1, 3])
def test_drift_fails_the_job_by_its_exit_code(runner: Runner, code: int) -> None:
    assert runner.job("drift", "drift", "dev", FAKE_DRIFT=str(code)) == (code == 0)
