"""The agent: keys and certificate at the gateway, and what happens to both."""

from __future__ import annotations

import datetime
import json
import ssl
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from components import _vault_policies as policies
from tests.services import servers
from tests.services.auth import world as parts
from tests.services.gateway_agent.world import (
    LIFE,
    NAMES,
    PASSWORD,
    ROLES,
    Agent,
    authority,
    certificate,
    consumers,
    expected,
    held,
    issuer,
)


def test_the_gateway_gets_each_roles_credentials_for_each_version_of_the_key(vault, kong, make):
    make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    newest = vault.call("GET", f"transit/keys/{parts.KEY}")["data"]
    public = newest["keys"][str(newest["latest_version"])]["public_key"].strip()
    entry = held(kong)[f"admin:v{newest['latest_version']}"]
    assert (entry["algorithm"], entry["rsa_public_key"].strip()) == ("RS256", public)


def test_a_rotation_is_followed_and_a_retired_version_is_removed(vault, kong, make):
    make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    before = held(kong)
    vault.rotate()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 5, "the new version's are there too")
    assert all(held(kong)[key] == entry for key, entry in before.items()), "the others were not touched"
    vault.retire(vault.call("GET", f"transit/keys/{parts.KEY}")["data"]["latest_version"])
    servers.eventually(lambda: held(kong).keys() == expected(vault), 5, "only the new version's are there")
    assert len(held(kong)) == len(ROLES)


def test_credentials_of_others_are_left_alone(vault, kong, make):
    other = {"key": "a-service-of-somebody", "secret": "x"}
    kong.admin.post("/consumers/role-user/jwt", json=other).raise_for_status()
    make()
    servers.eventually(lambda: held(kong).keys() == expected(vault) | {other["key"]}, 10, "all are there")


def test_a_key_that_was_taken_by_another_entry_is_put_right(vault, kong, make):
    wrong = {"key": sorted(expected(vault))[0], "secret": "x", "algorithm": "HS256"}
    role = wrong["key"].partition(":")[0]
    kong.admin.post(f"/consumers/role-{role}/jwt", json=wrong).raise_for_status()
    make()
    servers.eventually(lambda: held(kong).get(wrong["key"], {}).get("algorithm") == "RS256", 10, "the key is right")


def test_the_certificate_is_the_platforms_own_for_all_names_and_renewed_in_time(vault, kong, make):
    make()
    servers.eventually(lambda: "tests" in issuer(certificate(kong)), 10, "the certificate is there")
    first = certificate(kong)
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == set(NAMES[:2])
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [NAMES[2]]
    assert certificate(kong, "unknown.example.org").serial_number == first.serial_number
    servers.eventually(lambda: certificate(kong).serial_number != first.serial_number, LIFE, "it is renewed")
    left = first.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert left.total_seconds() > LIFE / 6, "well before the first one ended"


def test_a_client_that_trusts_the_authority_trusts_the_gateway(vault, kong, make, tmp_path):
    make()
    servers.eventually(lambda: "tests" in issuer(certificate(kong)), 10, "the certificate is there")
    trusted = tmp_path / "ca.pem"
    trusted.write_text(httpx.get(f"{vault.url}/v1/pki_int/ca/pem").text)
    context = ssl.create_default_context(cafile=str(trusted))
    assert httpx.get(f"https://localhost:{kong.tls_port}/", verify=context).status_code == 404


def test_another_authority_makes_another_certificate_at_once(vault, kong, make):
    make()
    servers.eventually(lambda: "tests" in issuer(certificate(kong)), 10, "the certificate is there")
    before = kong.admin.get("/certificates").json()["data"][0]
    authority(vault)

    def changed() -> bool:
        now = kong.admin.get("/certificates").json()["data"][0]
        return now["tags"][1] != before["tags"][1] and now["id"] == before["id"]

    servers.eventually(changed, 5, "the certificate is of the new authority")


def test_a_restart_changes_nothing_at_the_gateway(vault, kong, make):
    agent = make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    servers.eventually(lambda: "tests" in issuer(certificate(kong)), 10, "the certificate is there")
    before, serial = held(kong), certificate(kong).serial_number
    assert agent.stop() == 0
    again = make()
    time.sleep(1)
    assert again.process is not None
    assert again.process.poll() is None
    assert (held(kong), certificate(kong).serial_number) == (before, serial)


def test_it_waits_for_the_consumers_and_for_its_identity(vault, kong, make, tmp_path):
    kong.admin.delete("/consumers/role-admin").raise_for_status()
    (tmp_path / "agent.log").touch()
    vault.call("DELETE", "auth/approle/role/gateway-agent")
    agent = make()
    servers.eventually(lambda: "invalid role" in agent.output, 10, "it says what it waits for")
    own = {"auth/token/renew-self": ("update",), "auth/token/revoke-self": ("update",)}
    vault.role("gateway-agent", policies.document({**policies.EXTRA["gateway-agent"], **own}))
    servers.eventually(lambda: "no consumer role-admin yet" in agent.output, 15, "it says what it waits for")
    kong.admin.post("/consumers", json={"username": "role-admin"}).raise_for_status()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 15, "all credentials are there")
    assert all(json.loads(line)["service"] == "gateway-agent" for line in agent.output.splitlines())
    assert agent.output.count("not up to date") <= 3, "a problem is written down once"
    assert parts.SECRET_ID not in agent.output


def test_it_outlives_the_gateway_and_fills_a_new_one(vault, kong, make):
    agent = make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    kong.kill()
    servers.eventually(lambda: "not up to date" in agent.output, 10, "it notices")
    kong.start()  # it keeps its state in memory here, so it is a new one
    consumers(kong)
    servers.eventually(lambda: held(kong).keys() == expected(vault), 15, "all credentials are there again")
    servers.eventually(lambda: "tests" in issuer(certificate(kong)), 10, "the certificate too")


def test_a_token_that_was_taken_from_it_is_replaced(vault, kong, make):
    make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    for accessor in vault.call("LIST", "auth/token/accessors")["data"]["keys"]:
        token = vault.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]
        if token["display_name"] == "approle":
            vault.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    vault.rotate()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "it follows all the same")


def test_a_new_password_of_the_gateway_needs_no_restart(vault, kong, make, tmp_path):
    agent = make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    (tmp_path / "admin.htpasswd").write_text("nexus:{PLAIN}another-password\n")
    kong.admin.auth = ("nexus", "another-password")
    servers.eventually(lambda: "401" in agent.output, 10, "it is no longer let in")
    agent.password.write_text("another-password\n")
    vault.rotate()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "it follows with the new one")
    assert PASSWORD not in agent.output


@pytest.mark.parametrize("settings", ["[]", "x", '{"surprise": 1}', '{"poll": "x"}'])
def test_wrong_settings_end_it_with_a_reason(vault, kong, make, settings, tmp_path):
    agent = Agent(vault, kong, tmp_path)
    agent.environment["NEXUS_SETTINGS"] = settings
    agent.start()
    assert agent.process is not None
    assert agent.process.wait(10) == 2
    assert "NEXUS_SETTINGS" in agent.output


def test_it_is_small(vault, kong, make):
    agent = make()
    servers.eventually(lambda: held(kong).keys() == expected(vault), 10, "all credentials are there")
    assert agent.process is not None
    status = Path(f"/proc/{agent.process.pid}/status").read_text()
    resident = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    assert resident < 28 * 1024, f"{resident} KiB"
