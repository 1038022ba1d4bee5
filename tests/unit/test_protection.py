"""What holds data is protected, and nothing else is."""

from __future__ import annotations

from unittest.mock import Mock

import pulumi
import pytest

from infra import protection


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
