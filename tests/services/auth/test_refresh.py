"""Refresh tokens: each is good once, and who uses one twice ends the whole family."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import oidc
from tests.services.auth import world


@pytest.fixture
def tokens(cli):
    return cli.login(world.USER, world.PASSWORDS[world.USER])


def test_a_refresh_gives_new_tokens_of_the_same_user_and_family(cli, tokens):
    later = cli.refresh(cli.refresh(tokens))
    first, last = oidc.claims(tokens.access), oidc.claims(later.access)
    assert later.refresh != tokens.refresh
    assert (first["sub"], first["sid"]) == (last["sub"], last["sid"])
    assert first["jti"] != last["jti"]
    assert later.claims["auth_time"] == tokens.claims["auth_time"]


def test_a_used_token_ends_the_family_of_thief_and_owner(provider, cli, tokens):
    newer = cli.refresh(tokens)
    for refused in (tokens, newer):
        with pytest.raises(oidc.OidcError, match="invalid_grant"):
            cli.refresh(refused)
    assert httpx.get(cli.about["userinfo_endpoint"], headers=newer.bearer).status_code == 401
    line = provider.audited("refresh")[-1]
    assert (line["outcome"], line["family"]) == ("reused", oidc.claims(tokens.access)["sid"])


def test_of_many_refreshes_at_once_one_gets_through_and_the_family_ends(cli, tokens):
    with ThreadPoolExecutor(6) as pool:
        fields = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
        answers = list(pool.map(lambda _: cli.token(**fields), range(6)))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert cli.token(grant_type="refresh_token", refresh_token=good[0]["refresh_token"]).status_code == 400


def test_another_login_is_another_family(provider, tokens, cli):
    other = provider.client()
    kept = other.login(world.USER, world.PASSWORDS[world.USER])
    cli.refresh(tokens)
    with pytest.raises(oidc.OidcError):
        cli.refresh(tokens)
    assert other.refresh(kept).access


def test_a_refresh_token_is_its_clients_alone(web, tokens):
    answer = web.token(grant_type="refresh_token", refresh_token=tokens.refresh)
    assert answer.json()["error"] == "invalid_grant"


def test_a_refresh_may_ask_for_less_and_not_for_more(cli):
    tokens = cli.login(world.USER, world.PASSWORDS[world.USER], scope="openid profile")
    less = cli.token(grant_type="refresh_token", refresh_token=tokens.refresh, scope="profile").json()
    assert less["scope"] == "profile"
    assert "id_token" not in less
    more = cli.token(grant_type="refresh_token", refresh_token=less["refresh_token"], scope="openid roles")
    assert more.json()["error"] == "invalid_scope"


def test_a_refresh_gives_the_roles_of_now(provider, cli):
    admin = provider.client().login(world.ADMIN, world.PASSWORDS[world.ADMIN])
    made = {"username": "rita", "password": "a-P4ssword-of-rita", "roles": ["operator"]}
    rita = httpx.post(f"{provider.url}/users", json=made, headers=admin.bearer).json()
    tokens = cli.login("rita", made["password"])
    httpx.patch(f"{provider.url}/users/{rita['id']}", json={"roles": ["user"]}, headers=admin.bearer).raise_for_status()
    assert oidc.claims(cli.refresh(tokens).access)["gw"].startswith("user:")
    httpx.delete(f"{provider.url}/users/{rita['id']}", headers=admin.bearer).raise_for_status()
    with pytest.raises(oidc.OidcError, match="invalid_grant"):
        cli.refresh(tokens)


def test_neither_tokens_nor_passwords_nor_codes_are_stored_or_logged(provider, world, cli, tokens):
    database = provider.environment["NEXUS_POSTGRES_DATABASE"]
    for table in ("users", "clients", "refresh_tokens", "refresh_families"):
        stored = asyncio.run(world.sql(database, f"select string_agg(t::text, ' ') from {table} t"))
        for secret in (tokens.refresh, *PASSWORDS.values(), WEB_SECRET):
            assert secret not in stored
    for secret in (tokens.refresh, tokens.access, tokens.id_token, *PASSWORDS.values(), WEB_SECRET, SECRET_ID):
        assert secret not in provider.output


PASSWORDS, WEB_SECRET, SECRET_ID = world.PASSWORDS, world.WEB_SECRET, world.SECRET_ID
