"""Who may call: tokens, keys, passwords, groups, addresses."""

from __future__ import annotations

import time

import pytest

from tests.standins.credentials import bearer, public_pem, roles, token
from tests.standins.entities import Make, route
from tests.standins.gateway import Gateway, eventually


@pytest.fixture
def guarded(kong: Gateway, echo: Make) -> Gateway:
    """A service that needs the role `operator`, by token."""
    route(kong, echo("a"), {"name": "svc"})
    roles(kong)
    kong.post("/services/svc/plugins", name="jwt", config={"key_claim_name": "gw", "claims_to_verify": ["exp"]})
    kong.post("/services/svc/plugins", name="acl", config={"allow": ["operator"]})
    return kong


def test_a_token_of_a_role_opens_what_the_role_includes(guarded: Gateway) -> None:
    spoofed = {"x-consumer-username": "root", "x-anonymous-consumer": "true", "x-consumer-custom-id": "0"}
    answer = guarded.proxy.get("/", headers={**bearer(token(gw="admin:1")), **spoofed})
    assert answer.status_code == 200
    sent = answer.json()["headers"]
    assert (sent["x-consumer-username"], sent["x-credential-identifier"]) == ("role-admin", "admin:1")
    assert sorted(sent["x-consumer-groups"].split(", ")) == ["admin", "operator", "user"]
    assert not {"x-anonymous-consumer", "x-consumer-custom-id"} & set(sent)
    refused = guarded.proxy.get("/", headers=bearer(token(gw="user:1")))
    assert (refused.status_code, refused.json()["message"]) == (403, "You cannot consume this service")


def test_a_bad_token_is_refused_with_its_reason(guarded: Gateway) -> None:
    good = token()
    header, body, signature = good.split(".")
    for text, message in {
        "x.y.z": "Bad token; invalid JSON",
        "abc": "Bad token; invalid JSON",
        token("HS256", "s"): "Invalid algorithm",
        token(gw=None): "No mandatory 'gw' in claims",
        token(gw=""): "Invalid 'gw' in claims",
        token(gw="user:2"): "No credentials found for given 'gw'",
        f"{header}.{body}.{signature[:-8]}AAAAAAAA": "Invalid signature",
        f"{header}.{token(gw='admin:1').split('.')[1]}.{signature}": "Invalid signature",
    }.items():
        answer = guarded.proxy.get("/", headers=bearer(text))
        assert (answer.status_code, answer.json()) == (401, {"message": message}), text
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    none = guarded.proxy.get("/")
    assert (none.status_code, none.json()) == (401, {"message": "Unauthorized"})
    assert none.headers["www-authenticate"] == "Bearer"
    assert guarded.proxy.get("/", headers=bearer(token(exp=int(time.time()) - 1))).json() == {"exp": "token expired"}
    assert guarded.proxy.get("/", headers=bearer(token(exp="soon"))).json() == {"exp": "must be a number"}
    two = guarded.proxy.get("/?jwt=" + token(sub="b"), headers=bearer(good))
    assert two.json() == {"message": "Multiple tokens provided"}


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
def test_each_algorithm_is_verified(kong: Gateway, echo: Make, algorithm: str) -> None:
    route(kong, echo("a"), {"name": "svc"})
    kong.post("/services/svc/plugins", name="jwt", config={"cookie_names": ["session"]})
    kong.post("/consumers", username="ann")
    symmetric = algorithm.startswith("HS")
    key = {"secret": "s3cret"} if symmetric else {"rsa_public_key": public_pem(algorithm)}
    kong.post("/consumers/ann/jwt", key="auth", algorithm=algorithm, **key)
    good = token(algorithm, "s3cret")
    assert kong.proxy.get("/", headers=bearer(good)).status_code == 200
    assert kong.proxy.get(f"/?jwt={good}").status_code == 200
    assert kong.proxy.get("/", headers={"cookie": f"session={good}"}).status_code == 200
    head, _, signature = good.rpartition(".")
    forged = "B" + signature[1:] if signature[0] == "A" else "A" + signature[1:]
    assert kong.proxy.get("/", headers=bearer(f"{head}.{forged}")).json() == {"message": "Invalid signature"}


def test_a_new_signing_key_counts_at_once_and_a_removed_one_no_longer(guarded: Gateway) -> None:
    fresh = bearer(token(gw="operator:2"))
    assert guarded.proxy.get("/", headers=fresh).status_code == 401
    key = "0d3f8a53-1b1f-4f0a-8a57-6d1f0f0f0f02"
    body = {"key": "operator:2", "algorithm": "RS256", "rsa_public_key": public_pem("RS256")}
    for _ in range(2):  # as a lease is renewed
        assert guarded.admin.put(f"/consumers/role-operator/jwt/{key}", json=body).status_code == 200
        assert guarded.proxy.get("/", headers=fresh).status_code == 200
    assert guarded.admin.delete(f"/consumers/role-operator/jwt/{key}").status_code == 204
    assert guarded.proxy.get("/", headers=fresh).status_code == 401


def test_preflight_requests_need_no_token_when_told_so(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"})
    made = kong.post("/services/svc/plugins", name="jwt")
    assert kong.proxy.options("/").status_code == 401
    kong.admin.patch(f"/plugins/{made['id']}", json={"config": {"run_on_preflight": False}})
    assert kong.proxy.options("/").status_code == 200


def test_a_key_opens_until_its_time_is_over(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"})
    kong.post("/services/svc/plugins", name="key-auth", config={"key_names": ["X-API-Key"], "hide_credentials": True})
    kong.post("/consumers", username="ci")
    for key, ttl in (("lasting", None), ("brief", 2)):
        kong.post("/consumers/ci/key-auth", key=key, **({"ttl": ttl} if ttl else {}))
    answer = kong.proxy.get("/?a=1", headers={"x-api-key": "lasting"})
    assert (answer.status_code, "x-api-key" in answer.json()["headers"]) == (200, False)
    assert answer.json()["headers"]["x-consumer-username"] == "ci"
    assert kong.proxy.get("/?X-API-Key=brief&a=1").json()["path"] == "/?a=1"
    assert kong.proxy.get("/", headers=[("x-api-key", "a"), ("x-api-key", "b")]).json()["message"] == (
        "Duplicate API key found"
    )
    missing = kong.proxy.get("/")
    assert (missing.status_code, missing.json()["message"]) == (401, "No API key found in request")
    assert missing.headers["www-authenticate"] == "Key"
    eventually(lambda: kong.proxy.get("/", headers={"x-api-key": "brief"}).status_code == 401)
    assert kong.admin.get("/consumers/ci/key-auth/brief").json()["ttl"] == 0
    assert kong.proxy.get("/", headers={"x-api-key": "lasting"}).status_code == 200


def test_a_key_or_a_token_will_do_where_both_are_alternatives(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"})
    roles(kong)
    nobody = kong.post("/consumers", username="nobody")
    kong.post("/consumers/role-user/key-auth", key="k")
    for name, config in (("jwt", {"key_claim_name": "gw"}), ("key-auth", {}), ("acl", {"allow": ["user"]})):
        alternative = {} if name == "acl" else {"anonymous": nobody["id"]}
        kong.post("/services/svc/plugins", name=name, config={**config, **alternative})
    assert kong.proxy.get("/", headers={"apikey": "k"}).json()["headers"]["x-consumer-username"] == "role-user"
    assert kong.proxy.get("/", headers=bearer(token())).status_code == 200
    assert kong.proxy.get("/").status_code == 401
    assert kong.proxy.get("/", headers={"apikey": "wrong"}).status_code == 401


def test_a_password_opens(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"})
    kong.post("/services/svc/plugins", name="basic-auth", config={"hide_credentials": True})
    kong.post("/consumers", username="ann")
    kong.post("/consumers/ann/basic-auth", username="ann", password="right")
    assert "authorization" not in kong.proxy.get("/", auth=("ann", "right")).json()["headers"]
    wrong = kong.proxy.get("/", auth=("ann", "wrong"))
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Basic realm="service"')


def test_addresses_are_let_in_or_kept_out(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"})
    made = kong.post("/services/svc/plugins", name="ip-restriction", config={"allow": ["10.0.0.0/8"]})
    refused = kong.proxy.get("/")
    assert (refused.status_code, refused.json()["message"]) == (403, "IP address not allowed: 127.0.0.1")
    kong.admin.patch(f"/plugins/{made['id']}", json={"config": {"allow": ["127.0.0.0/8"]}})
    assert kong.proxy.get("/").status_code == 200


def test_wrong_settings_are_refused_with_their_field(kong: Gateway) -> None:
    for name, config, fields in (
        ("jwt", {"claims_to_verify": ["iat"]}, {"config": {"claims_to_verify": ["expected one of: exp, nbf"]}}),
        ("jwt", {"maximum_expiration": 60}, {
            "config": {"claims_to_verify": "required field missing"},
            "@entity": ["failed conditional validation given value of field 'config.maximum_expiration'"]}),
        ("acl", {}, {"@entity": [
            "exactly one of these fields must be non-empty: 'config.allow', 'config.deny'",
            "at least one of these fields must be non-empty: 'config.allow', 'config.deny'"]}),
        ("key-auth", {"key_names": ["a b"]}, {"config": {"key_names": [
            "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"]}}),
        ("rate-limiting", {"second": 20, "minute": 10}, {
            "config": "The limit for minute(10.0) cannot be lower than the limit for second(20.0)"}),
        ("rate-limiting", {"minute": 0}, {"config": {"minute": "value must be greater than 0"}}),
        ("rate-limiting", {}, {"@entity": ["at least one of these fields must be non-empty: 'config.second', "
            "'config.minute', 'config.hour', 'config.day', 'config.month', 'config.year'"]}),
        ("rate-limiting", {"minute": 1, "policy": "redis"}, {
            "config": {"redis": {"host": "required field missing"}},
            "@entity": ["failed conditional validation given value of field 'config.policy'"]}),
        ("proxy-cache", {}, {"config": {"strategy": "required field missing"}}),
        ("proxy-cache", {"strategy": "memory", "memory": {"dictionary_name": "none"}}, {
            "@entity": ["missing shared dict 'none'"]}),
        ("ip-restriction", {"allow": ["10.0.0.0/99"]}, {
            "config": {"allow": ["invalid ip or cidr range: '10.0.0.0/99'"]}}),
    ):  # fmt: skip
        answer = kong.admin.post("/plugins", json={"name": name, "config": config})
        assert (answer.status_code, answer.json()["fields"]) == (400, fields), (name, config)
    kong.post("/consumers", username="ann")
    scoped = kong.admin.post("/consumers/ann/plugins", json={"name": "jwt"})
    assert scoped.json()["fields"] == {"consumer": "value must be null"}
