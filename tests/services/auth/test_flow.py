"""Signing in as a browser and an application do it: code with PKCE, tokens, and what they say."""

from __future__ import annotations

import time

import httpx
import pytest

from tests import oidc
from tests.services.auth import world


def test_one_login_gives_tokens_for_a_user_by_role(provider, cli):
    tokens = cli.login(world.OPERATOR, world.PASSWORDS[world.OPERATOR])
    said = oidc.claims(tokens.access)
    assert said["iss"] == provider.issuer
    assert said["aud"] == provider.url
    assert (said["gw"].partition(":v")[0], said["roles"]) == ("operator", ["operator", "user"])
    assert said["exp"] - said["iat"] == tokens.seconds == 300
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


def test_without_openid_there_is_no_identity(cli):
    tokens = cli.login(world.USER, world.PASSWORDS[world.USER], scope="profile")
    assert tokens.id_token is None
    assert httpx.get(cli.about["userinfo_endpoint"], headers=tokens.bearer).status_code == 403


def test_a_client_with_a_secret_gets_tokens_with_or_without_a_challenge(web):
    assert web.login(world.USER, world.PASSWORDS[world.USER]).access
    request = web.request(code_challenge=None, code_challenge_method=None)
    code = web.code(web.authorize(request), request)
    assert web.redeem(code, request, code_verifier=None).status_code == 200


def test_the_clients_secret_may_be_in_the_body_too(web):
    request = web.request()
    page = web.authorize(request)
    code = web.code(web.sign_in(page, world.USER, world.PASSWORDS[world.USER]), request)
    fields = {"client_id": "web", "client_secret": web.secret, "grant_type": "authorization_code", "code": code}
    fields |= {"redirect_uri": world.CALLBACK, "code_verifier": web.verifier}
    assert httpx.post(web.about["token_endpoint"], data=fields).status_code == 200


def test_an_application_signs_in_on_its_own_behalf(provider):
    robot = provider.client(client_id="robot", secret=world.ROBOT_SECRET)
    answer = robot.token(grant_type="client_credentials", scope="roles")
    assert answer.headers["cache-control"] == "no-store"
    said = oidc.claims(answer.json()["access_token"])
    assert (said["sub"], said["roles"]) == ("robot", ["operator", "user"])
    assert said["gw"].startswith("operator:v")
    assert "refresh_token" not in answer.json()


def test_a_program_on_the_users_machine_may_take_any_port(cli):
    request = cli.request(redirect_uri="http://127.0.0.1:49152/callback")
    answer = cli.sign_in(cli.authorize(request), world.USER, world.PASSWORDS[world.USER])
    assert cli.code(answer, request)
    elsewhere = cli.request(redirect_uri="http://127.0.0.1:49152/elsewhere")
    assert cli.authorize(elsewhere).status_code == 400


def test_a_request_that_must_not_ask_is_told_that_a_login_is_needed(cli):
    request = cli.request(prompt="none")
    answer = cli.authorize(request)
    told = oidc.query(answer.headers["location"])
    assert (told["error"], told["state"], told["iss"]) == ("login_required", request["state"], cli.issuer)
    cli.login(world.USER, world.PASSWORDS[world.USER])
    again = cli.request(prompt="none")
    assert cli.code(cli.authorize(again), again)


@pytest.mark.parametrize("asks", [{"prompt": "login"}, {"max_age": "0"}])
def test_a_client_can_have_the_password_asked_again_and_the_sessions_tokens_stay(cli, asks):
    before = cli.login(world.USER, world.PASSWORDS[world.USER])
    time.sleep(1.1)
    request = cli.request(**asks)
    page = cli.authorize(request)
    assert page.status_code == 200
    code = cli.code(cli.sign_in(page, world.USER, world.PASSWORDS[world.USER]), request)
    after = cli.tokens(cli.redeem(code, request))
    assert after.claims["auth_time"] > before.claims["auth_time"]
    assert cli.refresh(before).access


def test_another_user_of_the_same_browser_ends_what_the_first_one_had(cli):
    first = cli.login(world.USER, world.PASSWORDS[world.USER])
    cli.login(world.OPERATOR, world.PASSWORDS[world.OPERATOR], prompt="login")
    with pytest.raises(oidc.OidcError, match="invalid_grant"):
        cli.refresh(first)


def test_the_description_names_only_places_that_are_there(provider, cli):
    for name, place in cli.about.items():
        if name.endswith(("_endpoint", "_uri")):
            assert place.startswith(provider.issuer)
            assert httpx.get(place).status_code != 404, name
    other = httpx.get(f"{provider.issuer}/.well-known/oauth-authorization-server").json()
    assert other == cli.about
