"""The local provider's trials of new versions, with a real engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from pulumi.provider.experimental.property_value import PropertyValue

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("importable")]
FOREVER = ["sleep", "300"]


@pytest.fixture
def wanted(client: docker.DockerClient, image: str) -> Iterator[dict[str, Any]]:
    """A trial that succeeds, beside a container that runs."""
    name = f"xnexus-{uuid.uuid4().hex[:8]}"
    network = client.networks.create(name)
    client.containers.run(image, FOREVER, name=name, detach=True, init=True, network=name)
    yield {
        "version": "1",
        "container": f"{name}-trial",
        "running": [name, f"{name}-2"],
        "joins": "one-of-them",
        "image": image,
        "labels": {"nexus.test": "trial"},
        "network": name,
        "user": "10001:10001",
        "command": ["sh", "-c", "echo started; trap 'exit 0' TERM; while true; do sleep 0.1; done"],
        "memory": 64.0,
        "checks": [["true"], ["sh", "-c", "test $(id -u) = 10001"]],
        "timeout": 30.0,
    }
    for left in client.containers.list(all=True, filters={"name": name}):
        left.remove(force=True)
    network.remove()


def wrap(value: Any) -> PropertyValue:
    if isinstance(value, dict):
        return PropertyValue({key: wrap(item) for key, item in value.items()})
    return PropertyValue([wrap(item) for item in value] if isinstance(value, list) else value)


def properties(wanted: dict[str, Any]) -> dict[str, PropertyValue]:
    return {name: wrap(value) for name, value in wanted.items()}


def attempt(wanted: dict[str, Any]) -> None:
    from trial import Trial

    Trial().create(properties(wanted))


def names(client: docker.DockerClient, wanted: dict[str, Any]) -> set[str]:
    return {one.name for one in client.containers.list(all=True, filters={"name": wanted["network"]})}


def test_a_version_that_gets_well_joins_the_others_until_it_is_relieved(client, wanted):
    from standby import relieve

    attempt(wanted)
    joined = client.containers.get(wanted["container"])
    assert joined.status == "running" and client.containers.get(wanted["network"]).status == "running"
    assert "one-of-them" in joined.attrs["NetworkSettings"]["Networks"][wanted["network"]]["Aliases"]
    relieve(wanted["container"])
    assert names(client, wanted) == {wanted["network"]}
    relieve(wanted["container"])


def test_nobody_knows_a_version_before_it_is_well(client, wanted):
    """Its first start is over before its name is; what it sees of the name says when it was there."""
    from trial import TrialFailedError

    wanted["checks"] = [["sh", "-c", "getent hosts one-of-them && echo known; exit 1"]]
    with pytest.raises(TrialFailedError) as failure:
        attempt({**wanted, "timeout": 2.0})
    assert "it answered: known" not in str(failure.value)


def test_where_nothing_runs_nothing_is_tried(client, wanted):
    client.containers.get(wanted["network"]).kill()
    attempt({**wanted, "image": "there-is-no-such-image:1"})
    client.containers.get(wanted["network"]).remove()
    attempt({**wanted, "image": "there-is-no-such-image:1"})
    assert names(client, wanted) == set()


def test_a_version_that_ends_says_so_at_once_with_its_image_and_its_last_words(client, wanted):
    from trial import TrialFailedError

    with pytest.raises(TrialFailedError) as failure:
        attempt({**wanted, "command": ["sh", "-c", "echo there is no plan; exit 3"], "checks": [["false"]]})
    text = str(failure.value)
    assert "nothing was replaced: it ended with 3 before it was well" in text
    assert f"image: {wanted['image']}" in text and "there is no plan" in text
    assert names(client, wanted) == {wanted["network"]}


@pytest.mark.parametrize("number", [0, 1])
def test_a_version_of_which_one_check_never_succeeds_is_given_up_in_time(client, wanted, number):
    from trial import TrialFailedError

    wanted["checks"][number] = ["sh", "-c", "echo no answer yet; exit 1"]
    with pytest.raises(TrialFailedError) as failure:
        attempt({**wanted, "timeout": 2.0})
    text = str(failure.value)
    assert "not well after 2 s" in text and "it answered: no answer yet" in text and "started" in text
    assert names(client, wanted) == {wanted["network"]}


def test_a_joining_version_that_fails_when_it_starts_again_does_not_stay(client, wanted):
    from trial import TrialFailedError

    wanted["checks"] = [["sh", "-c", "getent hosts one-of-them && exit 1 || exit 0"]]
    with pytest.raises(TrialFailedError, match="not well after 2 s"):
        attempt({**wanted, "timeout": 2.0})
    assert names(client, wanted) == {wanted["network"]}


def test_what_a_killed_run_left_is_in_nobodys_way(client, wanted):
    left = client.containers.create(wanted["image"], name=wanted["container"])
    attempt(wanted)
    assert client.containers.get(wanted["container"]).id != left.id


async def test_another_version_is_tried_and_anything_else_is_not(wanted):
    from provider import NexusProvider
    from pulumi.provider.experimental import provider

    async def differs(**changes: Any) -> bool:
        urn, new = "urn:pulumi:dev::nexus::nexus:index:Trial::a-trial", properties({**wanted, **changes})
        return bool((await NexusProvider().diff(provider.DiffRequest(urn, "id", properties(wanted), new, []))).changes)

    assert not await differs(memory=128.0, running=[], timeout=1.0)
    assert await differs(version="2")
