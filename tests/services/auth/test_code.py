"""What must not give tokens: other verifiers, used codes, other clients, other addresses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import oidc
from tests.services import servers
from tests.services.auth import world


def granted(client: oidc.Oidc, **changes: str | None) -> tuple[dict[str, str], str]:
    """A request and its code."""
    request = client.request(**changes)
    answer = client.authorize(request)
    if answer.status_code == 200:
        answer = client.sign_in(answer, world.USER, world.PASSWORDS[world.USER])
    return request, client.code(answer, request)


@pytest.mark.parametrize("verifier", [None, "", "x" * 43, "short", "x" * 129])
def test_a_code_is_of_no_use_without_its_verifier(cli, verifier):
    request, code = granted(cli)
    answer = cli.redeem(code, request, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")
    assert cli.redeem(code, request).status_code == 400, "one try is all a code is good for"


def test_a_public_client_has_to_send_a_challenge(cli):
    answer = cli.authorize(cli.request(code_challenge=None, code_challenge_method=None))
    assert oidc.query(answer.headers["location"])["error"] == "invalid_request"


@pytest.mark.parametrize("method", ["plain", "S512", None])
def test_the_challenge_has_to_be_hashed(cli, method):
    answer = cli.authorize(cli.request(code_challenge_method=method))
    assert oidc.query(answer.headers["location"])["error"] == "invalid_request"


def test_a_verifier_without_a_challenge_is_refused(web):
    request, code = granted(web, code_challenge=None, code_challenge_method=None)
    assert web.redeem(code, request).json()["error"] == "invalid_request"


def test_a_used_code_gives_nothing_and_ends_what_came_of_it(provider, cli):
    request, code = granted(cli)
    tokens = cli.tokens(cli.redeem(code, request))
    assert cli.redeem(code, request).json()["error"] == "invalid_grant"
    with pytest.raises(oidc.OidcError, match="invalid_grant"):
        cli.refresh(tokens)
    answer = cli.http.get(cli.about["userinfo_endpoint"], headers=tokens.bearer)
    assert answer.status_code == 401
    assert provider.audited("code")[-1]["outcome"] == "replayed"


def test_of_many_who_come_with_one_code_at_once_nobody_keeps_tokens(cli):
    request, code = granted(cli)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: cli.redeem(code, request), range(6)))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) <= 1
    for body in good:
        assert cli.token(grant_type="refresh_token", refresh_token=body["refresh_token"]).status_code == 400


def test_a_code_is_of_no_use_to_another_client_and_stays_good_for_its_own(cli, web):
    request, code = granted(cli)
    stolen = web.token(
        grant_type="authorization_code", code=code, redirect_uri=request["redirect_uri"], code_verifier=cli.verifier
    )
    assert stolen.json()["error"] == "invalid_grant"
    assert cli.redeem(code, request).status_code == 200


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1/other", "http://127.0.0.1:1234/callback"])
def test_a_code_needs_the_address_it_was_asked_for_with(cli, uri):
    request, code = granted(cli)
    assert cli.redeem(code, request, redirect_uri=uri).json()["error"] == "invalid_grant"


def test_a_code_ends_by_itself(world, tmp_path):
    from tests.services.auth.world import PASSWORDS, USER, Provider

    provider = Provider(world.environment(code_seconds=1), tmp_path).begin()
    try:
        client = provider.client()
        request = client.request()
        code = client.code(client.sign_in(client.authorize(request), USER, PASSWORDS[USER]), request)
        servers.time.sleep(1.5)
        assert client.redeem(code, request).json()["error"] == "invalid_grant"
    finally:
        provider.stop()


@pytest.mark.parametrize(
    ("client", "secret", "grant"),
    [
        ("robot", "wrong-" + world.ROBOT_SECRET, "client_credentials"),
        ("robot", None, "client_credentials"),
        ("nobody", "x", "client_credentials"),
        ("nexus", None, "client_credentials"),
        ("web", None, "authorization_code"),
        ("nexus", "made up", "authorization_code"),
    ],
)
def test_a_client_that_cannot_prove_itself_gets_nothing(provider, client, secret, grant):
    caller = provider.client(client_id=client, secret=secret)
    answer = caller.token(grant_type=grant, code="x", redirect_uri="http://127.0.0.1/callback")
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] in ("invalid_client", "unauthorized_client")


@pytest.mark.parametrize("grant", ["password", "implicit", "", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
def test_other_ways_to_a_token_do_not_exist(cli, grant):
    answer = cli.token(grant_type=grant, username=world.USER, password=world.PASSWORDS[world.USER])
    assert answer.json()["error"] in ("unsupported_grant_type", "invalid_request")
