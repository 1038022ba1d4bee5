"""What holds data is protected, and nothing else is."""

from __future__ import annotations

import json

import pytest

from infra import catalog
from infra.stack import deploy
from tests.components.recorder import declare


@pytest.mark.parametrize(("protect", "expected"), [("true", {"redis-data"}), ("false", set())])
def test_the_volumes_of_an_environment_are_protected_when_its_settings_say_so(protect: str, expected: set[str]) -> None:
    off = {name: {"enabled": False} for name in catalog.load().by_name if name != "redis"}
    seen = declare(deploy, config={"nexus:protect": protect, "nexus:services": json.dumps(off)})
    assert seen.protected == expected
