"""What people read of the policies, and what Pulumi is given."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ops import changes, policy, update
from ops.errors import BAD_INPUT, FAILED, Failure
from ops.events import Tracker
from ops.paths import ROOT
from ops.workspace import Workspace
from policy import rules

REMEDY = {rule.name: rule.remedy for rule in rules.ALL}


def event(name: str = "limits", resource: str = "kong-server", message: str = "", stops: bool = True) -> dict[str, Any]:
    return {
        "policyName": name,
        "resourceUrn": f"urn:pulumi:prod::nexus::docker:index/container:Container::{resource}",
        "message": f"{message or 'has no limit of memory'}. {REMEDY[name]}\n",
        "enforcementLevel": "mandatory" if stops else "advisory",
    }


def excepted(resource: str) -> dict[str, Any]:
    said = "is named by a tag alone; excepted until 2027-02-28 (platform): They are not pinned yet."
    return event("image-by-digest", resource, stops=False) | {"message": f"{said}\n"}


def workspace(root: Path) -> Workspace:
    return Workspace("prod", Path("/bin/false"), {}, root)


def test_pulumi_is_given_the_folder_of_the_pack() -> None:
    assert policy.arguments(workspace(ROOT)) == ["--policy-pack", str(ROOT / "policy")]
    assert (ROOT / "policy" / "PulumiPolicy.yaml").exists()


def test_an_unusable_exception_is_said_before_pulumi_starts(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policy", tmp_path / "policy", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "policy" / "exceptions.yaml").write_text("exceptions: [{policy: limits}]")
    with pytest.raises(Failure, match=r"exceptions\[0\]\.stacks") as raised:
        policy.arguments(workspace(tmp_path))
    assert raised.value.code == BAD_INPUT


def test_a_run_that_the_policies_stopped_names_each_violation_and_each_remedy_once() -> None:
    tracker = Tracker()
    for each in (event(), event(resource="redis-server"), event("health-check", message="has no health check")):
        tracker({"policyEvent": each})
    tracker({"diagnosticEvent": {"severity": "error", "message": "preview failed"}})
    problem = update.explain(tracker, Failure("pulumi preview failed", "error: preview failed"))
    assert problem.what == "3 violations of health-check, limits"
    assert "limits: kong-server: has no limit of memory\nlimits: redis-server" in problem.why
    assert problem.remedy.count(REMEDY["limits"]) == problem.remedy.count(REMEDY["health-check"]) == 1
    assert "policy/exceptions.yaml" in problem.remedy
    assert problem.code == FAILED


def test_what_failed_by_itself_is_not_said_to_be_the_policies_work() -> None:
    tracker = Tracker(failed=["urn:pulumi:prod::nexus::docker:index/container:Container::kong-server"])
    tracker({"policyEvent": excepted("kong-image")})
    assert "Container kong-server failed" in update.explain(tracker, Failure("pulumi up failed")).what


def test_exceptions_are_listed_by_their_reason_with_the_number_of_resources() -> None:
    found = [excepted("kong-image"), excepted("redis-image"), event()]
    assert policy.listing(changes.violations(found)) == [
        "image-by-digest: 2 resources excepted until 2027-02-28 (platform): They are not pinned yet."
    ]
    assert policy.failure([excepted("kong-image")]) is None
