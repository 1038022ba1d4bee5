"""Whose a host port is."""

from __future__ import annotations

from typing import Any

from ops import ports


class Engine:
    """The two questions that are asked of an engine."""

    def __init__(self, *containers: dict[str, Any]) -> None:
        self.listed, self.api = containers, self

    def containers(self, all: bool) -> list[dict[str, Any]]:
        assert all, "a container that is being started is not listed otherwise"
        return list(self.listed)

    def inspect_container(self, identity: str) -> dict[str, Any]:
        return {
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": identity}], "1/tcp": None}}
        }


def container(state: str, stack: str, identity: str, *public: int) -> dict[str, Any]:
    listed = [{"PrivatePort": 80, "PublicPort": port} for port in public] + [{"PrivatePort": 1}]
    return {"Id": identity, "Names": [f"/c{identity}"], "State": state, "Labels": {ports.STACK: stack}, "Ports": listed}


def test_running_containers_hold_the_ports_that_the_engine_lists() -> None:
    engine = Engine(container("running", "dev", "1", 1100), container("exited", "dev", "2"))
    assert ports.published(engine, "dev") == {1100: ("c1", "dev")}


def test_a_container_that_is_being_started_holds_its_ports_before_the_engine_lists_them() -> None:
    engine = Engine(container("created", "dev", "1200"))
    assert ports.published(engine, "dev") == {1200: ("c1200", "dev")}


def test_a_container_of_another_stack_that_was_never_started_holds_nothing() -> None:
    assert ports.published(Engine(container("created", "prod", "1200")), "dev") == {}
