"""Users and clients from the settings: applied once, again when changed, never against an administrator."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests import oidc
from tests.services import servers
from tests.services.auth import world as parts


@pytest.fixture
def entry(vault):
    """Change the entry; the tests' own is back afterwards."""

    def change(**users: dict[str, Any] | None) -> None:
        known = {user["username"]: user for user in json.loads(parts.seed()["users"])}
        wanted = {
            **known,
            **{name: {"username": name, **known.get(name, {}), **(v or {})} for name, v in users.items()},
        }
        left = [user for name, user in wanted.items() if users.get(name, {}) is not None]
        vault.put("services/auth/seed", {**parts.seed(), "users": json.dumps(left)})

    yield change
    vault.put("services/auth/seed", parts.seed())


def can(provider: parts.Provider, name: str, password: str) -> bool:
    client = provider.client()
    answer = client.sign_in(client.authorize(client.request()), name, password)
    return answer.status_code == 303


def applied(provider: parts.Provider) -> int:
    return provider.output.count("users and clients applied")


def until_applied(provider: parts.Provider, before: int) -> None:
    servers.eventually(lambda: applied(provider) > before, 10, "the entry is applied")


def test_a_changed_entry_changes_the_user_and_logs_it_out(own, entry):
    client = own.client()
    tokens = client.login(parts.USER, parts.PASSWORDS[parts.USER])
    before = applied(own)
    entry(uma={"password": "second-P4ssword-of-uma", "roles": ["operator"]})
    until_applied(own, before)
    assert not can(own, parts.USER, parts.PASSWORDS[parts.USER])
    assert oidc.claims(own.client().login(parts.USER, "second-P4ssword-of-uma").access)["gw"].startswith("operator:")
    with pytest.raises(oidc.OidcError):
        client.refresh(tokens)


def test_a_user_that_is_no_longer_declared_is_let_in_no_more_and_comes_back_with_its_entry(own, entry):
    before = applied(own)
    entry(uma=None)
    until_applied(own, before)
    assert not can(own, parts.USER, parts.PASSWORDS[parts.USER])
    before = applied(own)
    entry()
    until_applied(own, before)
    assert can(own, parts.USER, parts.PASSWORDS[parts.USER])


def test_what_an_administrator_changed_stays_after_a_restart(own):
    admin = own.client().login(parts.ADMIN, parts.PASSWORDS[parts.ADMIN])
    users = {user["username"]: user for user in httpx.get(f"{own.url}/users", headers=admin.bearer).json()}
    for name, change in ((parts.USER, {"active": False}), (parts.OPERATOR, {"password": "chosen-P4ssword-of-olga"})):
        answer = httpx.patch(f"{own.url}/users/{users[name]['id']}", json=change, headers=admin.bearer)
        answer.raise_for_status()
    own.stop()
    own.begin()
    assert not can(own, parts.USER, parts.PASSWORDS[parts.USER])
    assert can(own, parts.OPERATOR, "chosen-P4ssword-of-olga")
    assert not can(own, parts.OPERATOR, parts.PASSWORDS[parts.OPERATOR])


def test_the_last_administrator_stays_whatever_the_entry_says(own, entry):
    before = applied(own)
    entry(admin=None)
    until_applied(own, before)
    assert can(own, parts.ADMIN, parts.PASSWORDS[parts.ADMIN])
    assert "nobody else could manage users" in own.output


def test_clients_follow_the_entry_and_their_tokens_end_with_them(own, vault, entry):
    web = own.web()
    tokens = web.login(parts.USER, parts.PASSWORDS[parts.USER])
    before = applied(own)
    clients = [client for client in json.loads(parts.seed()["clients"]) if client["id"] != "web"]
    vault.put("services/auth/seed", {**parts.seed(), "clients": json.dumps(clients)})
    until_applied(own, before)
    assert httpx.get(f"{own.issuer}/userinfo", headers=tokens.bearer).status_code == 401
    with pytest.raises(oidc.OidcError, match="invalid_client"):
        web.refresh(tokens)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"users": json.dumps([{"username": "x", "password": "short-S3cret"[:8]}])}, "users.0.password"),
        ({"clients": json.dumps([{"id": "x", "secret": "S3cret-short"}])}, "clients.0.secret"),
        ({"users": "not JSON with S3cret"}, "users"),
        ({"surprise": "S3cret"}, "surprise"),
    ],
)
def test_a_wrong_entry_is_named_by_its_field_and_without_its_values(own, vault, entry, content, field):
    vault.put("services/auth/seed", content)
    servers.eventually(lambda: f"the entry seed in Vault: {field}" in own.output, 10, "the problem is logged")
    assert "S3cret" not in own.output
    assert can(own, parts.USER, parts.PASSWORDS[parts.USER]), "what was there stays"


def test_until_the_entry_is_there_the_service_is_not_ready_and_says_why(world, vault, entry, tmp_path):
    vault.call("DELETE", "secret/metadata/services/auth/seed")
    provider = parts.Provider(world.environment(), tmp_path)
    provider.environment["NEXUS_PUBLIC_URL"] = provider.url
    try:
        provider.start()
        servers.eventually(lambda: "404" in httpx.get(provider.url + "/ready").text, 10, "the problem is shown")
        assert httpx.get(provider.url + "/ready").status_code == 503
        vault.put("services/auth/seed", parts.seed())
        servers.eventually(lambda: provider.status("/ready") == 200, 15, "ready")
    finally:
        provider.stop()


def test_two_that_start_at_once_make_each_user_once(world, tmp_path):
    environment = world.environment()
    pair = [parts.Provider(dict(environment), tmp_path) for _ in range(2)]
    try:
        for one in pair:
            one.environment["NEXUS_PUBLIC_URL"] = one.url
            one.start()
        for one in pair:
            servers.eventually(lambda one=one: one.status("/ready") == 200, 20, "ready")
            assert can(one, parts.USER, parts.PASSWORDS[parts.USER])
    finally:
        for one in pair:
            one.stop()
