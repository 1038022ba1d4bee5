"""The signing key in Vault: rotated and retired there, followed here, never seen here."""

from __future__ import annotations

import time

import httpx
import pytest

from tests import oidc
from tests.services import servers
from tests.services.auth import world


@pytest.fixture
def rotated(vault):
    """Give the key new versions; afterwards there is one again, the only one that counts."""
    yield vault
    newest = vault.call("GET", f"transit/keys/{world.KEY}")["data"]["latest_version"]
    vault.retire(newest)


def gateways_key(client: oidc.Oidc) -> str:
    tokens = client.login(world.USER, world.PASSWORDS[world.USER])
    return oidc.claims(tokens.access)["gw"].partition(":")[2]


def kids(client: oidc.Oidc) -> list[str]:
    return [key["kid"] for key in client.http.get(client.about["jwks_uri"]).json()["keys"]]


def test_the_keys_are_public_and_nothing_else(cli):
    answer = cli.http.get(cli.about["jwks_uri"])
    assert "max-age=30" in answer.headers["cache-control"]
    for key in answer.json()["keys"]:
        assert {"kty": "RSA", "alg": "RS256", "use": "sig"}.items() <= key.items()
        assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys()


def test_a_new_version_is_published_at_once_and_signs_once_the_gateway_knows_it(own, rotated):
    client = own.client()
    before = gateways_key(client)
    old = client.login(world.USER, world.PASSWORDS[world.USER])
    rotated.rotate()
    new = f"v{int(before[1:]) + 1}"
    servers.eventually(lambda: kids(client) == [before, new], 5, "both keys are published")
    assert gateways_key(client) == before, "it is not old enough"
    time.sleep(world.KEY_DELAY)
    servers.eventually(lambda: gateways_key(client) == new, 20, "the new key signs")
    assert httpx.get(client.about["userinfo_endpoint"], headers=old.bearer).status_code == 200
    rotated.retire(int(new[1:]))
    servers.eventually(lambda: kids(client) == [new], 5, "the old key is gone")
    assert httpx.get(client.about["userinfo_endpoint"], headers=old.bearer).status_code == 401
    assert oidc.claims(client.refresh(old).access)["gw"] == f"user:{new}"


def test_a_key_that_is_retired_at_once_costs_no_login(own, rotated):
    client = own.client()
    before = int(gateways_key(client)[1:])
    rotated.rotate()
    rotated.retire(before + 1)

    def signs() -> bool:
        try:
            return gateways_key(client) == f"v{before + 1}"
        except oidc.OidcError as error:  # told to try again, with the old version's failure
            assert error.answer is not None
            assert error.answer.status_code == 503
            return False

    servers.eventually(signs, 5, "the new key signs, as there is no other")


def test_tokens_wait_for_vault_and_no_refresh_token_is_lost(own, vault):
    client = own.client()
    tokens = client.login(world.USER, world.PASSWORDS[world.USER])
    vault.call("PUT", "sys/policies/acl/auth", {"policy": world.POLICY.replace("transit/sign", "transit/other")})
    try:
        refused = client.token(grant_type="refresh_token", refresh_token=tokens.refresh)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    finally:
        vault.call("PUT", "sys/policies/acl/auth", {"policy": world.POLICY})
    assert client.refresh(tokens).access
