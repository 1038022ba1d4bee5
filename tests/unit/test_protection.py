"""What holds data is protected, and nothing else is."""

from __future__ import annotations

import json
from unittest.mock import Mock

import pulumi
import pytest

from infra import catalog, protection
from infra.stack import deploy
from tests.components.recorder import declare


@pytest.mark.parametrize(
    ("kind", "expected"), [("docker:index/volume:Volume", True), ("docker:index/service:Service", None)]
)
def test_volumes_are_protected_and_what_can_be_made_again_is_not(kind: str, expected: bool | None) -> None:
    given = pulumi.ResourceTransformationArgs(
        resource=Mock(), type_=kind, name="n", props={"name": "v"}, opts=pulumi.ResourceOptions(depends_on=[])
    )
    found = protection.protected(given)
    assert (found and found.opts.protect) is expected
    assert found is None or found.props == {"name": "v"}


@pytest.mark.parametrize(("protect", "expected"), [("true", {"redis-data"}), ("false", set())])
def test_the_volumes_of_an_environment_are_protected_when_its_settings_say_so(protect: str, expected: set[str]) -> None:
    off = {name: {"enabled": False} for name in catalog.load().by_name if name != "redis"}
    seen = declare(deploy, config={"nexus:protect": protect, "nexus:services": json.dumps(off)})
    assert seen.protected == expected
