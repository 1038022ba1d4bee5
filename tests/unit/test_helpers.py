"""The pure helpers."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from components import redis
from components._health import duration
from components._labels import labels
from components._naming import network, physical
from components.workload import reachable

UNITS = {"h": 3600, "m": 60, "s": 1}


@given(st.integers(min_value=1, max_value=10**6))
def test_a_duration_means_the_same_seconds_it_was_made_from(seconds: int) -> None:
    parts = re.findall(r"(\d+)([hms])", duration(seconds))
    assert sum(int(number) * UNITS[unit] for number, unit in parts) == seconds


def test_durations_are_written_as_the_engine_reports_them() -> None:
    assert [duration(n) for n in (10, 60, 90, 3600, 3661)] == ["10s", "1m0s", "1m30s", "1h0m0s", "1h1m1s"]


def test_names_carry_the_stack_so_that_environments_share_a_host() -> None:
    assert physical("dev", "redis") == "nexus-dev-redis" != physical("prod", "redis")
    assert network("dev") == "nexus-dev"


def test_labels_say_whose_a_container_is_and_whether_it_counts() -> None:
    assert labels("dev", "kong", stand_in=True) == {
        "nexus.stack": "dev",
        "nexus.service": "kong",
        "nexus.kind": "service",
        "nexus.stand-in": "true",
    }


def test_a_port_bound_to_every_address_is_reached_over_loopback() -> None:
    assert reachable("0.0.0.0") == "127.0.0.1"
    assert reachable("10.0.0.5") == "10.0.0.5"


def test_the_acl_lets_a_service_work_but_not_administer() -> None:
    lines = redis.acl([redis.User(name="app")], {"app": ["pw"]}).splitlines()
    assert lines[0].split()[:3] == ["user", "default", "off"]
    assert re.match(r"user app on #[0-9a-f]{64} ~app:\* &app:\* \+@all -@admin -@dangerous ", lines[2])
    assert "pw" not in lines[2].split()


def test_while_a_password_is_rotated_the_acl_takes_both() -> None:
    line = redis.acl([redis.User(name="app")], {"app": ["new", "old"]}).splitlines()[2]
    assert len(re.findall(r"#[0-9a-f]{64}", line)) == 2
