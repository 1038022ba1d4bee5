"""Exceptions from the policies: whole, in time, and no longer."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy import exceptions, rules
from policy.exceptions import InvalidError
from policy.model import Violation

TODAY = date(2026, 11, 23)
RULE = next(rule for rule in rules.ALL if rule.name == "limits")
GOOD: dict[str, Any] = {
    "policy": "limits",
    "stacks": ["prod*"],
    "resources": ["kong-*"],
    "reason": "It is measured until the end of the year.",
    "owner": "platform",
    "granted": TODAY,
    "expires": TODAY + timedelta(days=90),
}
URN = "urn:pulumi:prod::nexus::docker:index/container:Container::kong-server"


def written(folder: Path, *entries: Any) -> Path:
    file = folder / "exceptions.yaml"
    file.write_text(yaml.safe_dump({"exceptions": list(entries)}))
    return file


def judged(folder: Path, today: date, urn: str = URN, rule: Any = RULE, **changes: Any) -> tuple[bool, str]:
    listed = exceptions.load(rules.NAMES, written(folder, GOOD | changes))
    stack = urn.split(":")[2]
    return exceptions.judge(rule, stack, Violation(urn, "has no limit of memory"), listed, today)


def test_the_projects_own_exceptions_are_whole() -> None:
    listed = exceptions.load(rules.NAMES)
    assert all(each.policy in rules.NAMES for each in listed)


def test_an_exception_counts_to_the_end_of_its_last_day_and_says_why_until_when_and_by_whom(tmp_path: Path) -> None:
    for day in (TODAY, GOOD["expires"]):
        stands, said = judged(tmp_path, day)
        assert not stands
        assert "until 2027-02-21 (platform): It is measured" in said


def test_an_expired_exception_is_a_violation_again(tmp_path: Path) -> None:
    stands, said = judged(tmp_path, GOOD["expires"] + timedelta(days=1))
    assert stands
    assert "expired 2027-02-21" in said and RULE.remedy in said


def test_an_exception_that_ends_soon_says_so(tmp_path: Path) -> None:
    assert "excepted, soon until" in judged(tmp_path, GOOD["expires"] - timedelta(days=30))[1]
    assert "excepted until" in judged(tmp_path, GOOD["expires"] - timedelta(days=31))[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"urn": URN.replace(":prod:", ":dev:")},
        {"urn": URN.replace("kong-server", "redis-server")},
        {"policy": "health-check"},
    ],
    ids=["another stack", "another resource", "another policy"],
)
def test_an_exception_is_of_what_it_names_alone(tmp_path: Path, changes: dict[str, Any]) -> None:
    stands, said = judged(tmp_path, TODAY, **changes)
    assert stands and "except" not in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": "limit"}, "no policy 'limit'; there are"),
        ({"reason": "because"}, "reason"),
        ({"owner": ""}, "owner"),
        ({"stacks": []}, "stacks"),
        ({"resources": []}, "resources"),
        ({"expires": TODAY}, "must be after granted"),
        ({"expires": TODAY + timedelta(days=367)}, "366 days at most"),
        ({"expires": "2027-01-01"}, "is not a day"),
        ({"until": "never"}, "until"),
    ],
)
def test_an_incomplete_or_endless_exception_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidError, match=said) as raised:
        exceptions.load(rules.NAMES, written(tmp_path, GOOD | changes))
    assert "policy/exceptions.yaml: exceptions[0]" in str(raised.value)


@pytest.mark.parametrize("field", ["policy", "stacks", "resources", "reason", "owner", "granted", "expires"])
def test_every_field_is_needed(tmp_path: Path, field: str) -> None:
    with pytest.raises(InvalidError, match=field):
        exceptions.load(rules.NAMES, written(tmp_path, {k: v for k, v in GOOD.items() if k != field}))


@pytest.mark.parametrize("text", ["", "exceptions: {}", "[]", "exceptions: [", "others: []"])
def test_another_document_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(text)
    with pytest.raises(InvalidError, match=r"exceptions\.yaml"):
        exceptions.load(rules.NAMES, file)
