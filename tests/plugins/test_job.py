"""The local provider's one-shot containers, with a real engine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from pulumi.provider.experimental.property_value import PropertyValue

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("importable")]


@pytest.fixture
def wanted(client: docker.DockerClient, image: str) -> Iterator[dict[str, Any]]:
    name = f"xnexus-{uuid.uuid4().hex[:8]}"
    volume = client.volumes.create(name)
    network = client.networks.create(name)
    yield {
        "container": name,
        "labels": {"nexus.test": "job"},
        "image": image,
        "network": name,
        "user": "10001:10001",
        "command": ["true"],
        "volume": name,
        "mount": "/run/secrets",
        "tmpfs": {"/tmp": "mode=1777"},
        "memory": 64.0,
        "timeout": 30.0,
    }
    for left in client.containers.list(all=True, filters={"name": name}):
        left.remove(force=True)
    network.remove()
    volume.remove()


def left_over(client: docker.DockerClient, wanted: dict[str, Any]) -> list[Any]:
    return client.containers.list(all=True, filters={"name": wanted["container"]})


def test_a_job_runs_to_its_end_and_leaves_nothing(client, wanted):
    from job import run

    script = (
        "test $(id -u) = 10001 && test -d /run/secrets && echo x > /tmp/x && ! touch /x 2> /dev/null && test $A = b"
    )
    run({**wanted, "command": ["sh", "-c", script], "env": {"A": "b"}})
    assert not left_over(client, wanted)


def test_a_failed_job_says_how_it_ended_and_what_it_said_but_no_secret(client, wanted):
    from job import JobFailedError, run

    script = "echo connecting as hunter2; echo no such table >&2; exit 3"
    with pytest.raises(JobFailedError) as failure:
        run({**wanted, "command": ["sh", "-c", script], "masked": ["hunter2", ""]})
    text = str(failure.value)
    assert f"container {wanted['container']} ended with 3" in text
    assert "no such table" in text and "connecting as [secret]" in text
    assert not left_over(client, wanted)


def test_a_job_that_does_not_end_is_ended_in_time(client, wanted):
    from job import JobFailedError, run

    started = time.monotonic()
    with pytest.raises(JobFailedError, match="had not ended after 2 s"):
        run({**wanted, "command": ["sleep", "600"], "timeout": 2.0})
    assert time.monotonic() - started < 25
    assert not left_over(client, wanted)


def test_a_job_that_needs_too_much_memory_says_so(wanted):
    from job import JobFailedError, run

    eat = ["sh", "-c", "x=x; while :; do x=$x$x; done"]
    with pytest.raises(JobFailedError, match="out of memory: its limit is 16 MiB"):
        run({**wanted, "command": eat, "memory": 16.0})


def test_what_a_killed_run_left_is_removed_by_the_next_and_by_delete(client, wanted):
    from job import Job, run

    def leave() -> None:
        client.containers.run(wanted["image"], ["sleep", "600"], name=wanted["container"], detach=True)

    leave()
    run(wanted)
    assert not left_over(client, wanted)
    leave()
    state = {"container": PropertyValue(wanted["container"])}
    Job().delete(state)
    Job().delete(state)
    assert not left_over(client, wanted)


def test_another_time_limit_or_masked_text_is_no_reason_to_run_again():
    from job import Job

    compared = {name for name, field in Job.fields.items() if field.compared}
    assert {"image", "env", "triggers", "command"} <= compared
    assert not compared & {"timeout", "masked"}
