"""Requests that no honest browser or client sends."""

from __future__ import annotations

import base64
import hmac
import json
import time

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests import oidc
from tests.oidc import Form
from tests.services.auth import world


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        "https://evil.example/callback",
        "https://app.example/callback/../evil",
        "https://app.example/callback?next=https://evil.example",
        "https://app.example/callback#x",
        "https://app.example/callback.evil.example",
        "https://app.example@evil.example/callback",
        "HTTPS://APP.EXAMPLE/callback",
        "https://app.example:444/callback",
        "//app.example/callback",
        "javascript:alert(1)",
        'https://app.example/callback"><script>',
        "https://app.example/callback\r\nSet-Cookie: a=b",
        "https://app.exämple/callback",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(web, uri):
    answer = web.authorize(web.request(redirect_uri=uri))
    assert (answer.status_code, answer.headers.get("location")) == (400, None)
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "\x00"},
        {"client_id": "' or 1=1 --"},
        {"client_id": "x" * 5000},
    ],
)
def test_an_unknown_client_is_refused_on_the_providers_own_page(web, changes):
    answer = web.authorize(web.request(**changes))
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token token"}, "unsupported_response_type"),
        ({"scope": "openid everything"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
    ],
)
def test_a_wrong_request_of_a_known_client_is_told_to_it(web, changes, error):
    request = web.request(**changes)
    told = oidc.query(web.authorize(request).headers["location"])
    assert (told["error"], told["state"], told["iss"]) == (error, request["state"], web.issuer)


def test_a_parameter_that_is_repeated_is_refused(web):
    request = web.request()
    url = f"{web.about['authorization_endpoint']}?{httpx.QueryParams(request)}"
    for name in ("redirect_uri", "client_id", "code_challenge"):
        assert web.http.get(f"{url}&{name}=x").status_code == 400
    body = "grant_type=client_credentials&grant_type=authorization_code&client_id=robot"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (
        web.http.post(web.about["token_endpoint"], content=body, headers=headers).json()["error"] == "invalid_request"
    )


@pytest.mark.parametrize("state", ["<script>alert(1)</script>", "ü", '"', "a b", "x" * 4000])
def test_the_state_comes_back_as_it_was(web, state):
    request = web.request(state=state, prompt="none")
    assert oidc.query(web.authorize(request).headers["location"])["state"] == state


def test_the_sign_in_page_shows_text_as_text_and_cannot_be_framed(web):
    page = web.authorize(web.request(login_hint='"><script>alert(1)</script>'))
    assert "<script>" not in page.text
    assert "A &lt;b&gt;web&lt;/b&gt; application" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example;" in policy
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site"}, {}),
        ({}, {"csrf": "guessed"}),
        ({}, {"csrf": ""}),
    ],
)
def test_a_form_from_elsewhere_signs_nobody_in(web, headers, changes):
    form = Form(web.authorize(web.request()))
    fields = {**form.fields, "username": world.USER, "password": world.PASSWORDS[world.USER], **changes}
    answer = web.http.post(form.action, data=fields, headers=headers)
    assert answer.status_code == 403
    assert "nexus_session" not in web.http.cookies


def test_a_form_without_its_cookie_signs_nobody_in(provider, web):
    form = Form(web.authorize(web.request()))
    fields = {**form.fields, "username": world.USER, "password": world.PASSWORDS[world.USER]}
    assert httpx.post(form.action, data=fields).status_code == 403


def test_the_request_in_the_sign_in_form_is_checked_like_any_other(web):
    page = web.authorize(web.request())
    evil = str(httpx.QueryParams(web.request(redirect_uri="https://evil.example/")))
    answer = web.sign_in(page, world.USER, world.PASSWORDS[world.USER], request=evil)
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_the_session_is_a_new_one_after_a_login_and_its_cookie_is_hidden(provider, web):
    web.http.cookies.set("nexus_session", "chosen-by-someone-else", domain="127.0.0.1")
    page = web.authorize(web.request())
    answer = web.sign_in(page, world.USER, world.PASSWORDS[world.USER])
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("nexus_session"))
    assert "chosen-by-someone-else" not in cookie
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


@pytest.mark.parametrize(
    "name",
    [
        "\x00",
        "uma\x00",
        "' or 1=1 --",
        "u" * 5000,
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "",
    ],
)
def test_an_odd_name_is_only_a_wrong_one(web, name):
    page = web.authorize(web.request())
    assert web.sign_in(page, name, "x").status_code in (401, 429)


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic Og==",
        "Basic d2Vi",
        "Bearer x",
        "x",
    ],
)
def test_odd_credentials_of_a_client_are_only_wrong_ones(provider, header):
    answer = httpx.post(
        f"{provider.issuer}/token", data={"grant_type": "client_credentials"}, headers={"Authorization": header}
    )
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


def forged(good: str, public: str) -> dict[str, str]:
    """Tokens that only look like ours."""
    said = oidc.claims(good)
    header = {"alg": "RS256", "typ": "at+jwt", "kid": "v1"}

    def plain(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    own = RSAKey.generate_key(2048)
    confused = f"{plain({**header, 'alg': 'HS256'})}.{plain(said)}"
    confused_by = base64.urlsafe_b64encode(hmac.digest(public.encode(), confused.encode(), "sha256")).rstrip(b"=")
    first, second, third = good.split(".")
    return {
        "unsigned": f"{plain({**header, 'alg': 'none'})}.{plain(said)}.",
        "signed with the public key as a secret": f"{confused}.{confused_by.decode()}",
        "signed by another": jwt.encode(header, said, own),
        "with a key of its own": jwt.encode({**header, "jwk": own.as_dict(private=False)}, said, own),
        "changed": f"{first}.{plain({**said, 'roles': ['admin']})}.{third}",
        "cut": f"{first}.{second}",
        "another key's name": f"{plain({**header, 'kid': '../v1'})}.{second}.{third}",
        "nothing": ".",
        "rubbish": "ü.ü.ü",
    }


def test_only_tokens_of_this_provider_are_taken(provider, cli, vault):
    tokens = cli.login(world.USER, world.PASSWORDS[world.USER])
    where = cli.about["userinfo_endpoint"]
    key = vault.call("GET", f"transit/keys/{world.KEY}")["data"]
    public = key["keys"][str(key["latest_version"])]["public_key"]
    for what, token in forged(tokens.access, public).items():
        answer = httpx.get(where, headers={"Authorization": f"Bearer {token}".encode()})
        assert answer.status_code == 401, what
        assert answer.headers["www-authenticate"].startswith("Bearer")
    as_access = httpx.get(where, headers={"Authorization": f"Bearer {tokens.id_token}"})
    assert as_access.status_code == 401, "an identity token is not for that"
    assert httpx.get(where, headers=tokens.bearer).status_code == 200


def test_a_token_ends(world, tmp_path):
    from tests.services.auth.world import PASSWORDS, USER, Provider

    provider = Provider(world.environment(access_seconds=30), tmp_path).begin()
    try:
        tokens = provider.client().login(USER, PASSWORDS[USER])
        said = oidc.claims(tokens.access)
        time.sleep(max(0.0, said["exp"] - time.time()) + 0.5)
        assert httpx.get(f"{provider.issuer}/userinfo", headers=tokens.bearer).status_code == 401
    finally:
        provider.stop()
