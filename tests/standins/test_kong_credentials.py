"""Consumers' credentials and TLS certificates in the Admin API."""

from __future__ import annotations

import subprocess

import pytest

from tests.standins.gateway import Gateway


def test_credentials_are_completed_and_kept_unique(kong: Gateway) -> None:
    kong.post("/consumers", username="ann", custom_id="1")
    kong.post("/consumers", username="bob")
    assert len(kong.post("/consumers/ann/key-auth")["key"]) == 32
    assert kong.post("/consumers/ann/key-auth", key="k")["key"] == "k"
    assert kong.admin.post("/consumers/bob/key-auth", json={"key": "k"}).status_code == 409
    jwt = kong.post("/consumers/ann/jwt")
    assert (jwt["algorithm"], len(jwt["key"]), len(jwt["secret"])) == ("HS256", 32, 32)
    assert kong.admin.post("/consumers/ann/jwt", json={"algorithm": "RS256"}).json()["fields"]["rsa_public_key"]
    basic = kong.post("/consumers/ann/basic-auth", username="a", password="secret")
    assert basic["password"] != "secret"
    same = kong.admin.patch(f"/consumers/ann/basic-auth/{basic['id']}", json={"tags": ["t"]}).json()
    assert same["password"] == basic["password"]
    assert kong.post("/consumers/ann/hmac-auth", username="h")["secret"]
    kong.post("/consumers/ann/acls", group="admins")
    assert kong.admin.post("/consumers/ann/acls", json={"group": "admins"}).status_code == 409
    assert kong.admin.get("/consumers/ann/acls/admins").json()["group"] == "admins"
    assert kong.admin.get("/consumers/ann/key-auth").json()["data"][0]["consumer"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=secure.test", "-keyout", "key", "-out", "cert"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return {name: (folder / name).read_text() for name in ("cert", "key")}


def test_a_certificate_carries_its_server_names(kong: Gateway, certificate: dict[str, str]) -> None:
    created = kong.post("/certificates", **certificate, snis=["secure.test", "*.wild.test"])
    assert set(created["snis"]) == {"secure.test", "*.wild.test"}
    assert kong.admin.get("/certificates/secure.test").json()["id"] == created["id"]
    assert kong.admin.get("/snis/secure.test").json()["certificate"] == {"id": created["id"]}
    changed = kong.admin.patch(f"/certificates/{created['id']}", json={"snis": ["other.test"]}).json()
    assert changed["snis"] == ["other.test"]
    taken = kong.admin.post("/certificates", json={**certificate, "snis": ["other.test"]})
    assert (taken.status_code, "already associated" in taken.json()["fields"]["snis"]) == (400, True)
    assert len(kong.admin.get("/certificates").json()["data"]) == 1
    assert kong.admin.get("/certificates/none.test").json() == {"message": "SNI not found"}
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{kong.tls_port}", "-servername", "other.test"],
        input="", capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    assert "CN = secure.test" in shown.stdout + shown.stderr
    assert kong.admin.delete(f"/certificates/{created['id']}").status_code == 204
    assert kong.admin.get("/snis").json()["data"] == []


def test_a_certificate_must_fit_its_key(kong: Gateway, certificate: dict[str, str]) -> None:
    other = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    answer = kong.admin.post("/certificates", json={"cert": certificate["cert"], "key": other})
    assert answer.status_code == 400
    assert answer.json()["fields"] == {"@entity": ["certificate does not match key"]}


def test_a_ca_certificate_is_stored_once(kong: Gateway, certificate: dict[str, str]) -> None:
    assert len(kong.post("/ca_certificates", cert=certificate["cert"])["cert_digest"]) == 64
    assert kong.admin.post("/ca_certificates", json={"cert": certificate["cert"]}).status_code == 409
