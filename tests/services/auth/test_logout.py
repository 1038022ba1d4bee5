"""Logging out and taking tokens back: the session and all that came of it end."""

from __future__ import annotations

import httpx
import pytest

from tests import oidc
from tests.oidc import Form
from tests.services.auth import world


@pytest.fixture
def tokens(web):
    return web.login(world.USER, world.PASSWORDS[world.USER])


def ended(client: oidc.Oidc, tokens: oidc.Tokens) -> bool:
    refused = client.token(grant_type="refresh_token", refresh_token=tokens.refresh).status_code == 400
    return refused and httpx.get(client.about["userinfo_endpoint"], headers=tokens.bearer).status_code == 401


def test_a_logout_ends_the_session_with_all_its_families_and_goes_where_the_client_registered(web, tokens):
    request = web.request()
    second = web.tokens(web.redeem(web.code(web.authorize(request), request), request))
    answer = web.logout(tokens, post_logout_redirect_uri=world.GOODBYE, state="s 1")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{world.GOODBYE}?state=s+1")
    assert ended(web, tokens)
    assert ended(web, second)
    assert "Sign in" in web.authorize(web.request()).text
    assert "nexus_session" not in web.http.cookies


def test_a_logout_needs_no_cookie_as_the_identity_token_says_whose_session_it_is(provider, web, tokens):
    elsewhere = provider.web()
    assert elsewhere.logout(tokens).status_code == 200
    assert ended(web, tokens)
    assert "Sign in" in web.authorize(web.request()).text


def test_a_logout_that_could_be_anyones_asks_first(provider, web, tokens):
    asked = web.http.get(provider.url + "/logout")
    assert "Sign out?" in asked.text
    forged = web.http.post(provider.url + "/logout", data={"csrf": "guessed"})
    assert "Sign out?" in forged.text
    form = Form(asked)
    foreign = web.http.post(form.action, data=form.fields, headers={"Origin": "https://evil.example"})
    assert "Sign out?" in foreign.text
    assert not ended(provider.web(), web.refresh(tokens))
    request = web.request()
    kept = web.tokens(web.redeem(web.code(web.authorize(request), request), request))
    assert "Signed out" in web.http.post(form.action, data=form.fields, headers={"Origin": provider.url}).text
    assert ended(web, kept)


def test_an_identity_token_of_another_user_does_not_log_this_browser_out(provider, web, tokens):
    other = provider.web()
    others = other.login(world.OPERATOR, world.PASSWORDS[world.OPERATOR])
    assert "Sign out?" in web.logout(others).text
    assert web.refresh(tokens).access


@pytest.mark.parametrize(
    "place", ["https://evil.example/", world.GOODBYE + "/x", "//evil.example", world.GOODBYE + "#@evil.example"]
)
def test_a_logout_goes_nowhere_that_is_not_registered(web, tokens, place):
    answer = web.logout(tokens, post_logout_redirect_uri=place)
    assert (answer.status_code, answer.headers.get("location")) == (200, None)
    assert ended(web, tokens)


@pytest.mark.parametrize("hint", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."])
def test_a_made_up_identity_token_is_refused(web, tokens, hint):
    answer = web.http.get(web.about["end_session_endpoint"], params={"id_token_hint": hint})
    assert answer.status_code == 400
    assert web.refresh(tokens).access


@pytest.mark.parametrize("which", ["refresh", "access"])
def test_a_client_takes_back_its_tokens(web, tokens, which):
    back = web.http.post(
        web.about["revocation_endpoint"], data={"token": getattr(tokens, which)}, auth=("web", web.secret)
    )
    assert back.status_code == 200
    assert ended(web, tokens)
    again = web.http.post(web.about["revocation_endpoint"], data={"token": tokens.refresh}, auth=("web", web.secret))
    assert again.status_code == 200, "taking back what is no token is no error (RFC 7009, 2.2)"


def test_a_client_cannot_take_back_anothers(cli, web, tokens):
    answer = cli.http.post(cli.about["revocation_endpoint"], data={"token": tokens.refresh, "client_id": "nexus"})
    assert answer.status_code == 400
    assert web.refresh(tokens).access


def test_an_applications_own_token_is_taken_back_too(provider):
    robot = provider.client(client_id="robot", secret=world.ROBOT_SECRET)
    token = robot.token(grant_type="client_credentials").json()["access_token"]
    where, auth = robot.about["introspection_endpoint"], ("robot", world.ROBOT_SECRET)
    assert robot.http.post(where, data={"token": token}, auth=auth).json()["active"] is True
    robot.http.post(robot.about["revocation_endpoint"], data={"token": token}, auth=auth).raise_for_status()
    assert robot.http.post(where, data={"token": token}, auth=auth).json() == {"active": False}


def test_a_client_asks_about_its_own_tokens_alone(provider, web, tokens):
    where = web.about["introspection_endpoint"]
    own = web.http.post(where, data={"token": tokens.access}, auth=("web", web.secret)).json()
    assert own.items() >= {"active": True, "client_id": "web", "roles": ["user"]}.items()
    held = web.http.post(where, data={"token": tokens.refresh}, auth=("web", web.secret)).json()
    assert held.items() >= {"active": True, "token_type": "refresh_token"}.items()
    others = web.http.post(where, data={"token": tokens.access}, auth=("robot", world.ROBOT_SECRET)).json()
    assert others == {"active": False}
    assert web.http.post(where, data={"token": tokens.access}).status_code == 401
    assert web.http.post(where, data={"token": tokens.access, "client_id": "nexus"}).status_code == 401
    web.logout(tokens)
    assert web.http.post(where, data={"token": tokens.access}, auth=("web", web.secret)).json() == {"active": False}
