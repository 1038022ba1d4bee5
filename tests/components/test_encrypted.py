"""An environment whose data servers encrypt: who is given what, and what they are told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from components import pgbouncer, postgres, rabbitmq, redis
from components._tls import AUTHORITY, CERTIFICATE
from infra import catalog, images
from infra.settings import ROOT
from infra.stack import deploy
from tests.components.recorder import Recorder, Registered, declare

SERVERS = ("postgres", "pgbouncer", "redis", "redis-cache", "rabbitmq")
CERT = "vault:pkiSecret/secretBackendCert:SecretBackendCert"
NEEDING = [e for e in catalog.load().enabled if e.kind == "service" and {"postgres", "redis", "rabbitmq"} & {*e.needs}]


@pytest.fixture(scope="module")
def seen() -> Recorder:
    return declare(deploy, stack="dev", config={"nexus:tlsData": "true"})


@pytest.fixture(scope="module")
def plain() -> Recorder:
    return declare(deploy, stack="dev")


def files(recorder: Recorder, name: str) -> dict[str, str]:
    return recorder.one(f"{name}-files").inputs["files"]


def envs(recorder: Recorder, name: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in recorder.one(f"{name}-server").inputs["envs"])


def test_each_data_server_has_a_certificate_for_its_name_which_is_renewed_in_its_last_third(seen: Recorder) -> None:
    issued = {r.inputs["commonName"]: r for r in seen.of(CERT)}
    assert set(issued) == set(SERVERS)
    for name, made in issued.items():
        assert (made.inputs["autoRenew"], made.inputs["minSecondsRemaining"]) == (True, int(made.inputs["ttl"]) // 3)
        held = files(seen, name)
        parts = [f"{part}-of-certificates-{name}" for part in ("privateKey", "certificate", "issuingCa")]
        assert held[CERTIFICATE].splitlines() == parts, "one file: no server reads a key without its certificate"
        assert held[AUTHORITY] == "certificate-of-certificates-root"
        assert CERTIFICATE in seen.one(f"{name}-files").inputs["live"]
    allowed = seen.one("certificates-certificates-server").inputs
    assert set(allowed["allowedDomains"]) == {*SERVERS, "localhost"}
    assert not allowed["allowSubdomains"] and not allowed["allowIpSans"]


def test_a_rotation_is_another_certificate(seen: Recorder) -> None:
    again = declare(deploy, config={"nexus:tlsData": "true", "nexus:rotations": '{"certificates": 1}'})
    assert {r.name for r in again.of(CERT)} == {f"{r.name}.1" for r in seen.of(CERT)}
    before = {(r.type, r.name): r.inputs for r in seen.resources}
    changed = {r.name for r in again.resources if r.inputs != before.get((r.type, r.name))}
    assert changed == {*(f"certificates-{name}.1" for name in SERVERS), *(f"{name}-files" for name in SERVERS)}


def test_nothing_of_it_is_there_where_it_is_not_asked_for(plain: Recorder) -> None:
    assert not plain.of(CERT)
    for resource in plain.of("nexus:index:Files"):
        assert not {CERTIFICATE, AUTHORITY} & set(resource.inputs["files"]), resource.name
    assert "SSL_CERT_DIR" not in envs(plain, "vault")


def test_production_asks_for_it() -> None:
    assert yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]["nexus:tlsData"] is True


@pytest.mark.parametrize("entry", NEEDING, ids=lambda entry: entry.name)
def test_a_service_checks_each_server_that_it_needs(seen: Recorder, entry: Any) -> None:
    env = envs(seen, entry.name)
    checked = {name for name in ("postgres", "redis", "rabbitmq") if env.get(f"NEXUS_{name.upper()}_CA_FILE")}
    assert checked == {"postgres", "redis", "rabbitmq"} & {*entry.needs}
    assert env[f"NEXUS_{next(iter(checked)).upper()}_CA_FILE"] == "/run/secrets/root.pem"
    assert set(files(seen, entry.name)) == {"vault-secret-id", AUTHORITY}, "a certificate is no secret"
    if "rabbitmq" in checked:
        assert env["NEXUS_RABBITMQ_PORT"] == "5671"


def test_the_gateway_checks_its_database_and_its_counters(seen: Recorder) -> None:
    env = envs(seen, "kong")
    assert [env[f"KONG_PG_SSL{part}"] for part in ("", "_REQUIRED", "_VERIFY")] == ["on"] * 3
    assert env["KONG_LUA_SSL_TRUSTED_CERTIFICATE"] == "system,/run/secrets/root.pem"
    assert files(seen, "kong")[AUTHORITY] == "certificate-of-certificates-root"
    limits: list[Registered] = [r for r in seen.resources if r.inputs.get("name") == "rate-limiting"]
    assert limits
    for plugin in limits:
        counting = json.loads(plugin.inputs["configJson"])["redis"]
        assert (counting["ssl"], counting["ssl_verify"], counting["server_name"]) == (True, True, "redis")


def test_migrations_check_the_server(seen: Recorder) -> None:
    assert seen.one("migrations-run").inputs["env"]["NEXUS_POSTGRES_CA_FILE"] == "/run/secrets/root.pem"
    assert AUTHORITY in files(seen, "migrations")


def test_vault_checks_the_servers_it_makes_logins_for_and_is_told_first(seen: Recorder) -> None:
    url = seen.one("vault-engines-postgres").inputs["postgresql"]["connectionUrl"]
    assert url.endswith("@postgres:5432/postgres?sslmode=verify-full&sslrootcert=/vault/file/trusted/root.pem")
    assert seen.one("vault-engines-rabbitmq").inputs["connectionUri"] == "https://rabbitmq:15671"
    told, vault = seen.one("certificates-trusted").inputs, seen.one("vault-server").inputs
    assert told["stdin"] == "certificate-of-certificates-root"
    assert (told["container"], told["containerId"]) == (vault["name"], "vault-server-id")
    assert envs(seen, "vault")["SSL_CERT_DIR"] == "/vault/file/trusted"
    names = [r.name for r in seen.resources]
    assert names.index("certificates-trusted") < names.index("vault-engines-rabbitmq")


def test_the_root_is_the_one_from_before_certificates_were_apart_from_the_engines() -> None:
    import pulumi

    from components.certificates import FORMER, FORMER_TYPE

    found: list[str] = []

    def program() -> None:
        pulumi.create_urn(FORMER, FORMER_TYPE).apply(found.append)

    declare(program)
    assert found == ["urn:pulumi:dev::nexus::nexus:index:VaultEngines::vault-engines"]


def test_ports_on_the_host_lead_to_the_encrypted_ones(seen: Recorder, plain: Recorder) -> None:
    def inside(recorder: Recorder) -> set[int]:
        return {port["internal"] for port in recorder.one("rabbitmq-server").inputs["ports"]}

    assert inside(plain) == {5672, 15672}
    assert inside(seen) == {5671, 15671}
    (check,) = seen.one("rabbitmq-discovery-registration").inputs["checks"]
    assert check["tcp"] == "rabbitmq:5671"


def settings(text: str) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_postgresql_lets_nobody_in_who_does_not_encrypt(seen: Recorder) -> None:
    assert files(seen, "postgres")["pg_hba.conf"].splitlines() == [
        "local all all trust",
        "hostssl all all all scram-sha-256",
    ]
    command = seen.one("postgres-server").inputs["command"]
    assert {"ssl=on", "hba_file=/run/secrets/pg_hba.conf", "ssl_key_file=/run/secrets/server.pem"} <= set(command)


def test_the_pooler_checks_postgresql_and_encrypts_to_its_own_clients() -> None:
    spec = pgbouncer.PgbouncerSpec(stack="dev", contract=images.contract("pgbouncer"), connections=100)
    told = settings(pgbouncer.configuration(spec, "postgres", 5432, "pooler", encrypted=True))
    assert (told["client_tls_sslmode"], told["server_tls_sslmode"]) == ("require", "verify-full")
    assert told["server_tls_ca_file"] == "/etc/pgbouncer/root.pem"


def test_redis_and_rabbitmq_listen_in_plain_nowhere_but_on_the_brokers_own_loopback() -> None:
    store = redis.RedisSpec(stack="dev", contract=images.contract("redis"), memory_mib=128)
    lines = redis.configuration(store, encrypted=True).splitlines()
    assert {"port 0", "tls-port 6379"} <= set(lines)
    broker = rabbitmq.RabbitmqSpec(stack="dev", contract=images.contract("rabbitmq"), memory_mib=384, ports=())
    told = settings(rabbitmq.configuration(broker, encrypted=True))
    listening = {key: value for key, value in told.items() if "listeners" in key or key.endswith(".port")}
    assert listening == {
        "listeners.tcp.local": "127.0.0.1:5672",
        "listeners.ssl.default": "5671",
        "management.ssl.port": "15671",
        "prometheus.tcp.port": "15692",
    }


def test_health_checks_ask_as_clients_do(seen: Recorder) -> None:
    for name in ("redis", "redis-cache"):
        asked = seen.one(f"{name}-server").inputs["healthcheck"]["tests"][-1]
        assert "--tls --cacert /run/secrets/root.pem" in asked
    assert postgres.ACCESS.startswith("local ")


def test_in_a_swarm_the_certificates_are_secrets_and_vault_is_told_in_its_task() -> None:
    given = {"nexus:tlsData": "true", "nexus:engine": "swarm", "nexus:portOffset": "20000"}
    seen = declare(deploy, "prod", given)
    for name in SERVERS:
        held = base64.b64decode(seen.one(f"{name}-file-{CERTIFICATE}").inputs["data"]).decode()
        assert held.splitlines()[1] == f"certificate-of-certificates-{name}"
        mounted = seen.one(f"{name}-server").inputs["taskSpec"]["containerSpec"]["secrets"]
        assert CERTIFICATE in {secret["fileName"].rpartition("/")[2] for secret in mounted}
    told, ready = seen.one("certificates-trusted").inputs, seen.one("vault-ready").inputs
    assert [told[key] for key in ("container", "version")] == [ready[key] for key in ("container", "version")]


def test_no_key_is_in_a_command_or_an_environment(seen: Recorder) -> None:
    for resource in seen.of("docker:index/container:Container"):
        shown = str([resource.inputs.get(key) for key in ("envs", "command", "healthcheck", "labels")])
        assert "privateKey-of" not in shown and "secret-of" not in shown, resource.name
