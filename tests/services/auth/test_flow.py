"""Signing in as a browser and an application do it: code with PKCE, tokens, what they say."""

from __future__ import annotations

import httpx

from tests import oidc
from tests.services.auth import world


def test_one_login_gives_tokens_for_a_user_by_role(provider, cli):
    tokens = cli.login(world.OPERATOR, world.PASSWORDS[world.OPERATOR])
    said = oidc.claims(tokens.access)
    assert said["iss"] == provider.issuer
    assert said["aud"] == provider.url
    assert (said["gw"], said["roles"]) == ("operator:v1", ["operator", "user"])
    assert said["exp"] - said["iat"] == tokens.seconds == 600
    assert {"sub", "jti", "client_id", "scope", "sid"} <= said.keys()
    assert tokens.claims["preferred_username"] == world.OPERATOR
    assert tokens.claims["email"] == "olga@example.org"
    assert "gw" not in tokens.claims


def test_who_is_signed_in_gets_further_codes_without_a_password(cli):
    first = cli.login(world.USER, world.PASSWORDS[world.USER])
    request = cli.request()
    answer = cli.authorize(request)
    second = cli.tokens(cli.redeem(cli.code(answer, request), request))
    assert oidc.claims(first.access)["sub"] == oidc.claims(second.access)["sub"]
    assert oidc.claims(first.access)["sid"] != oidc.claims(second.access)["sid"]


def test_the_user_info_is_what_the_scopes_let_it_be(cli):
    tokens = cli.login(world.USER, world.PASSWORDS[world.USER], scope="openid email")
    told = httpx.get(cli.about["userinfo_endpoint"], headers=tokens.bearer).json()
    assert told == {"sub": tokens.claims["sub"], "email": "uma@example.org"}
