"""A service that was broken into reaches what is its own, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.whole.platform import Platform

pytestmark = pytest.mark.e2e
PROBE = Path(__file__).with_name("probe.py")
OWN = {
    *(f"vault: {what}" for what in ("login as itself", "giving all back")),
    *(f"vault: own {what}" for what in ("redis", "postgres", "rabbitmq", "consul")),
    "postgres: own table",
    "redis-cache: own key",
    "rabbitmq: own queue",
    *(f"consul: {what}" for what in ("own key", "own key again", "addresses of others")),
}
#: How a server says no; anything else, such as a server that is away, would prove nothing.
REFUSALS = (
    "PermissionError: 400",
    "PermissionError: 401",
    "PermissionError: 403",
    "ProtocolViolationError: no such user",  # the pooler
    "InsufficientPrivilegeError:",
    "NoPermissionError:",
    "AuthenticationError: invalid username-password pair",  # of a Redis that it does not use
    "ChannelAccessRefused:",
    "InvalidFrameError: Expected one of ['Connection.OpenOk'], got <Connection.Close",  # the driver's words for it
)


def test_a_service_reaches_its_own_things_and_is_refused_those_of_others(platform: Platform) -> None:
    code, output = platform.container("transform").exec_run(["python", "-c", PROBE.read_text()])
    assert code == 0, output.decode()
    found = json.loads(output.splitlines()[-1])
    assert {what for what, result in found.items() if result == "allowed"} == OWN
    assert not {what: result for what, result in found.items() if what not in OWN and not result.startswith(REFUSALS)}
    assert len(found) > 50


def test_no_container_but_the_healer_sees_the_engine(platform: Platform) -> None:
    sockets = {
        container.attrs["Config"]["Labels"]["nexus.service"]
        for container in platform.containers()
        if any("docker.sock" in mount.get("Source", "") for mount in container.attrs["Mounts"])
    }
    assert sockets == {"healer"}
