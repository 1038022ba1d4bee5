"""What services may do in Vault, declared through the plugin with the stack's own token, tried with their own."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import aiormq.exceptions
import docker
import httpx
import pytest
from cryptography import x509

from components._consul_rules import of_service, policy_name
from components._postgres import Database
from infra import images
from ops import image_builder, pulumi_cli
from ops.paths import ROOT
from tests.images import data, vault
from tests.images.conftest import Under
from tests.plugins.test_pulumi import Stack

pytestmark = pytest.mark.engine
PROGRAM = Path(__file__).with_name("identities")
CONSUL_TOKEN = "11111111-2222-3333-4444-555555555555"
CONSUL_ACL = (
    f"""acl {{ enabled = true, default_policy = "deny", tokens {{ initial_management = "{CONSUL_TOKEN}" }} }}"""
)
SECRETS = {"postgres": data.PASSWORDS["vault"], "rabbitmq": data.ADMINISTRATOR_PASSWORD, "consul": CONSUL_TOKEN}


@dataclass
class Servers:
    """Vault with its keeper, and beside it what it lends logins to."""

    pair: vault.Pair
    sql: data.Sql
    broker: data.Broker
    consul: Any
    under: Under

    def in_consul(self, token: str, *argv: str) -> tuple[int | None, str]:
        return self.under.ask(self.consul, ["consul", *argv], environment={"CONSUL_HTTP_TOKEN": token})


def image(name: str) -> str:
    image_builder.ensure([name], images.LOCAL, lambda _: None)
    return images.reference(name, images.LOCAL)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as ends:
        client = docker.from_env(timeout=120)
        ends.callback(client.close)
        pair = ends.enter_context(vault.pair(client, image("vault")))
        under = Under(client)
        ends.callback(under.remove)
        pair.server()
        keeper = pair.keeper()
        made = Servers(
            pair,
            data.sql(under, image, *(Database(name=name, owner=name) for name in ("alpha", "beta"))),
            data.broker(under, image, "alpha", "beta"),
            under.run("consul", image("consul"), ["-dev", "-client=0.0.0.0", f"-hcl={CONSUL_ACL}"]),
            under,
        )
        for name, server in (("postgres", made.sql.server), ("rabbitmq", made.broker.server), ("consul", made.consul)):
            pair.network.connect(server, aliases=[name])
            ends.callback(pair.network.disconnect, server)
        for name in ("alpha", "beta"):
            rules = ["acl", "policy", "create", "-name", policy_name(name), "-rules", of_service(name)]
            under.answers(made.consul, ["env", f"CONSUL_HTTP_TOKEN={CONSUL_TOKEN}", "consul", *rules])
        vault.says(keeper, "ready", 60)
        yield made


@pytest.fixture(scope="module")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory, binaries: dict[str, Path]) -> Iterator[Stack]:
    toolchain = pulumi_cli.ensure("local", lambda _line: None)
    folder = tmp_path_factory.mktemp("identities")
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    made = Stack(folder, toolchain, {"vault": binaries["vault"], "nexus": ROOT / "plugins" / "nexus" / "x"})
    made.env["PYTHONPATH"] = str(ROOT)
    made.run("stack", "init", "identities")
    given = {"vault": f"http://127.0.0.1:{servers.pair.spec.port.host}", "token": vault.TOKEN, "ttl": "60"} | SECRETS
    for name, value in given.items():
        made.run("config", "set", *(["--secret"] if name in ("token", *SECRETS) else []), f"identities:{name}", value)
    made.up()
    yield made
    made.run("destroy", "--yes", "--skip-preview")


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def as_(servers: Servers, stack: Stack) -> Callable[[str], Ask]:
    """Log in as a service and get a way to ask Vault."""
    secrets = json.loads(stack.run("stack", "output", "--json", "--show-secrets"))
    client, tokens = servers.pair.vault, dict[str, str]()

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
    for secret in (*SECRETS.values(), "of-alpha", vault.TOKEN, "PRIVATE KEY"):
        assert secret not in state


def test_a_service_reads_its_own_secrets_and_no_others(as_: Callable[[str], Ask]) -> None:
    ask = as_("alpha")
    assert ask("GET", "secret/data/services/alpha/redis").json()["data"]["data"]["password"] == "of-alpha"
    assert ask("GET", "secret/data/services/beta/redis").status_code == 403
    assert ask("GET", "secret/data/admin/first-login").status_code == 403
    assert ask("POST", "secret/data/services/alpha/redis", data={}).status_code == 403, "nor does it write its own"
    assert ask("LIST", "secret/metadata/services").status_code == 403


def test_a_service_is_lent_a_login_that_acts_as_its_databases_owner(
    as_: Callable[[str], Ask], servers: Servers
) -> None:
    ask = as_("alpha")
    lent = ask("GET", "database/creds/alpha").json()
    assert (lent["lease_duration"], lent["renewable"]) == (60, True)
    login = (lent["data"]["username"], lent["data"]["password"])

    assert servers.sql.ask(*login, "alpha", "CREATE TABLE mine (n int)") == (0, "")
    owner = "SELECT tableowner, current_user, session_user <> current_user FROM pg_tables WHERE tablename = 'mine'"
    assert servers.sql.ask(*login, "alpha", owner) == (0, "alpha|alpha|t")
    assert servers.sql.ask(*login, "alpha", owner, pooled=True) == (0, "alpha|alpha|t")
    assert "permission denied for database" in servers.sql.ask(*login, "beta", "SELECT 1")[1]
    assert ask("GET", "database/creds/beta").status_code == 403
    assert ask("PUT", "sys/leases/renew", lease_id=lent["lease_id"]).status_code == 200
    assert ask("PUT", "sys/leases/revoke", lease_id=lent["lease_id"]).status_code == 204
    assert servers.sql.ask(*login, "alpha", "SELECT 1")[0] != 0, "a login that was given back is gone"


async def refused(address: str, act: Callable[[Any], Awaitable[Any]]) -> bool:
    """Whether RabbitMQ refuses this to a user that may log in."""
    async with await aio_pika.connect(address) as connection:
        try:
            await act(await connection.channel())
        except aiormq.exceptions.ChannelAccessRefused:
            return True
    return False


async def test_a_service_is_lent_a_user_that_reads_its_own_queue_alone(
    as_: Callable[[str], Ask], servers: Servers
) -> None:
    ask = as_("alpha")
    lent = ask("GET", "rabbitmq/creds/alpha").json()
    port, user = data.port_of(servers.broker.server, 5672), lent["data"]
    address = f"amqp://{user['username']}:{user['password']}@127.0.0.1:{port}/nexus"

    async def read(channel: Any, queue: str) -> None:
        await (await channel.get_queue(queue, ensure=False)).get(fail=False)

    assert not await refused(address, lambda channel: read(channel, "alpha"))
    assert await refused(address, lambda channel: read(channel, "beta"))
    assert await refused(address, lambda channel: channel.declare_queue("new"))
    assert ask("GET", "rabbitmq/creds/beta").status_code == 403
    assert ask("PUT", "sys/leases/revoke", lease_id=lent["lease_id"]).status_code == 204
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        await aio_pika.connect(address)


def test_a_service_is_lent_a_consul_token_that_writes_its_own_keys_alone(
    as_: Callable[[str], Ask], servers: Servers
) -> None:
    ask = as_("alpha")
    lent = ask("GET", "consul/creds/alpha").json()
    token = lent["data"]["token"]
    assert servers.in_consul(token, "kv", "put", "services/alpha/x", "1")[0] == 0
    assert "Permission denied" in servers.in_consul(token, "kv", "put", "services/beta/x", "1")[1]
    assert "Permission denied" in servers.in_consul(token, "acl", "token", "list")[1]
    assert ask("GET", "consul/creds/beta").status_code == 403
    assert ask("PUT", "sys/leases/revoke", lease_id=lent["lease_id"]).status_code == 204
    assert servers.in_consul(token, "kv", "put", "services/alpha/x", "2")[0] != 0


def test_a_service_encrypts_with_its_own_key_alone(as_: Callable[[str], Ask]) -> None:
    plain = base64.b64encode(b"secret").decode()
    made = as_("alpha")("PUT", "transit/encrypt/alpha", plaintext=plain).json()["data"]["ciphertext"]
    assert as_("alpha")("PUT", "transit/decrypt/alpha", ciphertext=made).json()["data"]["plaintext"] == plain
    assert as_("beta")("PUT", "transit/decrypt/alpha", ciphertext=made).status_code == 403
    assert as_("alpha")("PUT", "transit/keys/alpha/rotate").status_code == 403


def test_a_data_server_gets_a_certificate_for_its_name_and_services_get_none(
    as_: Callable[[str], Ask], servers: Servers, stack: Stack
) -> None:
    pem = json.loads(stack.run("stack", "output", "--json", "--show-secrets"))["postgres"]
    server, issuing = x509.load_pem_x509_certificates(pem.encode())
    server.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(x509.load_pem_x509_certificate(stack.output("root").encode()))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("postgres")])
    assert server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names
    assert pem.startswith("-----BEGIN EC PRIVATE KEY-----"), "all three are one file"
    for role in ("server", "gateway"):
        assert as_("alpha")("PUT", f"pki_int/issue/{role}", common_name="postgres").status_code == 403
    own = {"X-Vault-Token": vault.TOKEN}
    for name, answer in (("postgres", 200), ("redis", 400), ("x.postgres", 400)):
        asked = servers.pair.vault.post("pki_int/issue/server", headers=own, json={"common_name": name})
        assert asked.status_code == answer, name


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
