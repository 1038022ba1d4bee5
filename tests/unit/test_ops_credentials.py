"""Secrets of a stack's state: found by name, shown nowhere."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ops import credentials
from ops.errors import Failure
from ops.workspace import Workspace

URN = "urn:pulumi:dev::nexus::"


def secret(value):
    return {credentials.MARK: credentials.SECRET, credentials.SHOWN: json.dumps(value)}


def provider(package, **inputs):
    kind = f"pulumi:providers:{package}"
    return {"urn": f"{URN}{kind}::{package}", "type": kind, "inputs": inputs, "outputs": inputs}


@pytest.fixture
def space(tmp_path: Path):
    """A workspace whose CLI prints the state below, but only when it is asked to show secrets."""
    token = f"nexus:index:Consul${credentials.GENERATED}"
    state = {"deployment": {"resources": [
        {"urn": f"{URN}pulumi:pulumi:Stack::nexus-dev", "type": "pulumi:pulumi:Stack"},
        {"urn": f"{URN}{token}::consul-management-token", "type": credentials.GENERATED,
         "outputs": {"length": 32, "value": secret("of-consul")}},
        provider("consul", address="127.0.0.1:3000", token=secret("of-consul")),
        provider("vault", address="http://127.0.0.1:1900", token=secret("of-vault")),
    ]}}  # fmt: skip
    (tmp_path / "state.json").write_text(json.dumps(state))
    (tmp_path / "pulumi").write_text(
        f'#!/bin/sh\ncase "$*" in *--show-secrets*) cat {tmp_path}/state.json ;; *) echo locked >&2; exit 1 ;; esac\n'
    )
    (tmp_path / "pulumi").chmod(0o700)
    known = tmp_path / ".pulumi" / "stacks" / "nexus" / "dev.json"
    known.parent.mkdir(parents=True)
    known.write_text("{}")
    env = {"PULUMI_BACKEND_URL": tmp_path.as_uri(), "PATH": "/usr/bin:/bin"}
    return Workspace("dev", tmp_path / "pulumi", env, tmp_path)


def test_a_generated_secret_is_found_by_its_name(space):
    assert credentials.of(space).generated("consul-management-token") == "of-consul"


def test_a_server_is_asked_as_the_program_asks_it(space):
    found = credentials.of(space)
    assert found.access("consul") == credentials.Access("http://127.0.0.1:3000", "of-consul")
    assert found.access("vault") == credentials.Access("http://127.0.0.1:1900", "of-vault")


def test_no_text_of_what_was_found_has_a_secret(space):
    found = credentials.of(space)
    for shown in (repr(found), str(found), repr(found.access("vault"))):
        assert "of-" not in shown


def test_what_is_not_there_is_named_with_what_to_do(space):
    found = credentials.of(space)
    for name, ask in (("other", lambda: found.generated("other")), ("kong", lambda: found.access("kong"))):
        with pytest.raises(Failure) as failed:
            ask()
        assert name in str(failed.value)
        assert "./nexus up dev" in failed.value.remedy


def test_a_stack_that_was_never_made_is_said_to_be_so(space):
    with pytest.raises(Failure, match="no stack other"):
        credentials.of(replace(space, stack="other"))


def test_secrets_are_opened_at_any_depth():
    assert credentials.opened({"a": [secret({"b": 1}), {"c": secret("d")}], "e": 2}) == {
        "a": [{"b": 1}, {"c": "d"}],
        "e": 2,
    }
