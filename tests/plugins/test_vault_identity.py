"""What services may do in Vault, declared through the plugin with the stack's own token, tried with their own."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from cryptography import x509

from infra import images
from ops import image_builder, pulumi_cli
from ops.paths import ROOT
from tests.images import vault
from tests.images.conftest import Under
from tests.plugins.test_pulumi import Stack

pytestmark = pytest.mark.engine
PROGRAM = Path(__file__).with_name("identities")
#: What the platform's own provisioning does: owners that nobody logs in as, and Vault's login, which may lend them.
ROLES = """\
CREATE ROLE alpha; CREATE ROLE beta; CREATE DATABASE alpha OWNER alpha; CREATE DATABASE beta OWNER beta;
REVOKE CONNECT ON DATABASE alpha, beta FROM PUBLIC;
CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'of-vault';
GRANT alpha, beta TO vault WITH ADMIN OPTION;
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[vault.Pair, Any]]:
    """Vault with its keeper, and PostgreSQL beside it."""
    client = docker.from_env(timeout=120)
    image_builder.ensure(["vault", "postgres"], images.LOCAL, lambda _: None)
    with vault.pair(client, images.reference("vault", images.LOCAL)) as pair:
        pair.server()
        keeper = pair.keeper()
        under = Under(client)
        store = under.run("postgres", images.reference("postgres", images.LOCAL), files={"password": "of-postgres"})
        pair.network.connect(store, aliases=["postgres"])
        under.answers(store, images.contract("postgres").health)
        for statement in ROLES.replace("\n", " ").split("; "):
            made, said = store.exec_run(["psql", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement])
            assert made == 0, said
        vault.says(keeper, "ready", 60)
        yield pair, store
        under.remove()
    client.close()


@pytest.fixture(scope="module")
def stack(
    servers: tuple[vault.Pair, Any], tmp_path_factory: pytest.TempPathFactory, binaries: dict[str, Path]
) -> Iterator[Stack]:
    toolchain = pulumi_cli.ensure("local", lambda _line: None)
    folder = tmp_path_factory.mktemp("identities")
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    made = Stack(folder, toolchain, {"vault": binaries["vault"], "nexus": ROOT / "plugins" / "nexus" / "x"})
    made.env["PYTHONPATH"] = str(ROOT)
    made.run("stack", "init", "identities")
    given = {"vault": f"http://127.0.0.1:{servers[0].spec.port.host}", "token": vault.TOKEN, "ttl": "60"}
    for name, value in given.items():
        made.run("config", "set", *(["--secret"] if name == "token" else []), f"identities:{name}", value)
    made.up()
    yield made
    made.run("destroy", "--yes", "--skip-preview")


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def as_(servers: tuple[vault.Pair, Any], stack: Stack) -> Callable[[str], Ask]:
    """Log in as a service and get a way to ask Vault."""
    secrets = json.loads(stack.run("stack", "output", "--json", "--show-secrets"))
    client, tokens = servers[0].vault, dict[str, str]()

    def login(service: str) -> Ask:
        if service not in tokens:
            body = {"role_id": service, "secret_id": secrets[service]}
            tokens[service] = client.post("auth/approle/login", json=body).json()["auth"]["client_token"]
        headers = {"X-Vault-Token": tokens[service]}
        return lambda method, path, **body: client.request(method, path, headers=headers, json=body or None)

    return login


def test_the_stacks_token_suffices_and_a_second_preview_is_empty(stack: Stack) -> None:
    assert stack.steps() == {}
    assert stack.steps("--refresh") == {}


def test_no_secret_is_in_the_state_in_the_clear(stack: Stack) -> None:
    state = stack.run("stack", "export")
    for secret in ("of-vault", "of-alpha", vault.TOKEN, "PRIVATE KEY"):
        assert secret not in state


def test_a_service_reads_its_own_secrets_and_no_others(as_: Callable[[str], Ask]) -> None:
    ask = as_("alpha")
    assert ask("GET", "secret/data/services/alpha/redis").json()["data"]["data"]["password"] == "of-alpha"
    assert ask("GET", "secret/data/services/beta/redis").status_code == 403
    assert ask("GET", "secret/data/admin/first-login").status_code == 403
    assert ask("POST", "secret/data/services/alpha/redis", data={}).status_code == 403, "nor does it write its own"
    assert ask("LIST", "secret/metadata/services").status_code == 403


def test_a_service_is_lent_a_login_that_acts_as_its_databases_owner(
    as_: Callable[[str], Ask], servers: tuple[vault.Pair, Any]
) -> None:
    ask, store = as_("alpha"), servers[1]
    lent = ask("GET", "database/creds/alpha").json()
    assert (lent["lease_duration"], lent["renewable"]) == (60, True)

    def query(database: str, sql: str) -> tuple[int, str]:
        code, output = store.exec_run(
            ["psql", "-h", "127.0.0.1", "-U", lent["data"]["username"], "-d", database, "-tAc", sql],
            environment={"PGPASSWORD": lent["data"]["password"]},
        )
        return code, output.decode().strip()

    assert query("alpha", "CREATE TABLE t (n int); SELECT tableowner FROM pg_tables WHERE tablename = 't'")[1][-5:] == (
        "alpha"
    )
    assert query("alpha", "SELECT current_user, session_user <> current_user") == (0, "alpha|t")
    assert "permission denied for database" in query("beta", "SELECT 1")[1]
    assert ask("GET", "database/creds/beta").status_code == 403
    assert ask("PUT", "sys/leases/renew", lease_id=lent["lease_id"]).status_code == 200
    assert ask("PUT", "sys/leases/revoke", lease_id=lent["lease_id"]).status_code == 204
    assert query("alpha", "SELECT 1")[0] != 0, "a login that was given back is gone"


@pytest.mark.parametrize("engine", ["rabbitmq", "consul"])
def test_a_service_is_lent_nothing_by_anothers_role(as_: Callable[[str], Ask], engine: str) -> None:
    assert as_("alpha")("GET", f"{engine}/creds/beta").status_code == 403
    answer = as_("alpha")("GET", f"{engine}/creds/alpha")
    assert answer.status_code != 403, "with its own role it gets as far as the server, which is not there"


def test_a_service_encrypts_with_its_own_key_alone(as_: Callable[[str], Ask]) -> None:
    plain = base64.b64encode(b"secret").decode()
    made = as_("alpha")("PUT", "transit/encrypt/alpha", plaintext=plain).json()["data"]["ciphertext"]
    assert as_("alpha")("PUT", "transit/decrypt/alpha", ciphertext=made).json()["data"]["plaintext"] == plain
    assert as_("beta")("PUT", "transit/decrypt/alpha", ciphertext=made).status_code == 403
    assert as_("alpha")("PUT", "transit/keys/alpha/rotate").status_code == 403


def test_a_service_gets_certificates_for_its_own_name_alone(as_: Callable[[str], Ask], stack: Stack) -> None:
    ask = as_("alpha")
    for name in ("alpha", "alpha.service.consul"):
        issued = ask("PUT", "pki_int/issue/service", common_name=name).json()["data"]
        chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in [issued["certificate"], *issued["ca_chain"]]]
        chain[0].verify_directly_issued_by(chain[1])
        root = x509.load_pem_x509_certificate(stack.output("root").encode())
        chain[1].verify_directly_issued_by(root)
        assert chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value == (
            x509.SubjectAlternativeName([x509.DNSName(name)])
        )
    for name in ("beta", "x.alpha", "localhost", "beta.service.consul"):
        assert ask("PUT", "pki_int/issue/service", common_name=name).status_code == 400, name
    assert ask("PUT", "pki_int/issue/gateway", common_name="localhost").status_code == 403


def test_the_gateways_agent_gets_the_gateways_certificate_and_the_signing_keys_public_half(
    as_: Callable[[str], Ask],
) -> None:
    ask = as_("gateway-agent")
    issued = ask("PUT", "pki_int/issue/gateway", common_name="nexus.example", alt_names="localhost").json()["data"]
    assert issued["private_key"].startswith("-----BEGIN EC PRIVATE KEY")
    assert "BEGIN PUBLIC KEY" in ask("GET", "transit/keys/auth-signing").json()["data"]["keys"]["1"]["public_key"]
    assert ask("PUT", "transit/sign/auth-signing", input="YQ==").status_code == 403


def test_the_auth_service_signs_and_no_other_does(as_: Callable[[str], Ask]) -> None:
    signed = as_("auth")("PUT", "transit/sign/auth-signing", input="YQ==", signature_algorithm="pkcs1v15")
    assert signed.json()["data"]["signature"].startswith("vault:v1:")
    assert as_("alpha")("PUT", "transit/sign/auth-signing", input="YQ==").status_code == 403
    assert as_("alpha")("GET", "transit/keys/auth-signing").status_code == 403


def test_a_token_lasts_as_long_as_it_is_renewed_and_has_the_services_policy_alone(as_: Callable[[str], Ask]) -> None:
    own = as_("alpha")("GET", "auth/token/lookup-self").json()["data"]
    assert (own["policies"], own["period"], own["meta"]) == (["service"], 3600, {"role_name": "alpha"})
    assert as_("alpha")("PUT", "auth/token/renew-self").status_code == 200
