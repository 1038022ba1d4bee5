"""What the state has and the engine lacks, and the reverse, is told apart: data, orphans, files."""

from contextlib import nullcontext

import pytest

from ops import state_doctor
from ops.errors import BAD_INPUT, Failure
from ops.objects import CONTAINER, NETWORK, VOLUME, Object

URN = "urn:pulumi:dev::nexus::"
STATE = {
    "version": 3,
    "deployment": {
        "resources": [
            {"urn": f"{URN}{token}::{name}", "type": token, "id": identity, "custom": True, "inputs": inputs}
            for token, name, identity, inputs in [
                ("docker:index/container:Container", "redis-server", "c1", {}),
                ("docker:index/network:Network", "network", "n1", {}),
                ("docker:index/volume:Volume", "redis-data", "nexus-dev-redis-data", {}),
                ("nexus:index:Files", "redis-files", "f1", {"volume": "nexus-dev-redis-files"}),
            ]
        ]
    },
}
ALL = (
    Object(CONTAINER, "c1", "nexus-dev-redis", "redis"),
    Object(NETWORK, "n1", "nexus-dev", ""),
    Object(VOLUME, "nexus-dev-redis-data", "nexus-dev-redis-data", "redis"),
    Object(VOLUME, "nexus-dev-redis-files", "nexus-dev-redis-files", "redis"),
)


@pytest.mark.parametrize(
    ("inventory", "found"),
    [
        (ALL, {}),
        (ALL[1:], {"there": "Container redis-server"}),
        ((ALL[0], *ALL[2:]), {"there": "Network network"}),
        ((*ALL[:2], ALL[3]), {"data": "nexus-dev-redis-data"}),
        ((*ALL, Object(CONTAINER, "c2", "nexus-dev-old", "old")), {"known": "container nexus-dev-old"}),
        ((*ALL, Object(VOLUME, "v", "nexus-dev-old-data", "old")), {"volumes": "nexus-dev-old-data"}),
    ],
)
def test_the_engine_and_the_state_are_compared_both_ways(monkeypatch, inventory, found):
    monkeypatch.setattr(state_doctor.objects, "connect", nullcontext)
    monkeypatch.setattr(state_doctor.objects, "inventory", lambda client, stack: list(inventory))
    checks = list(state_doctor.engine("dev", STATE, "again"))
    assert {check.name: check.value for check in checks if check.result != "ok"} == found
    assert [check.name for check in checks if check.result == "warning"] == [
        name for name in found if name == "volumes"
    ]


def test_a_number_without_restore_changes_nothing_and_is_asked_about():
    with pytest.raises(Failure) as caught:
        state_doctor.run("dev", 3, None, restore=False, yes=True, as_json=False, lock_timeout=0)
    assert caught.value.code == BAD_INPUT and "3 --restore" in caught.value.remedy
