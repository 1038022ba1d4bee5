"""An environment whose data servers encrypt: its clients work, others are refused, and a renewal is not noticed."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e import probe_tls
from tests.e2e.environment import Environment, closure
from tests.e2e.load import Load
from tests.e2e.test_life import eventually, started

pytestmark = pytest.mark.e2e
NAMES = closure("nexus-backend", "auth", "events", "transform", "search")
SERVERS = ("postgres", "pgbouncer", "redis", "redis-cache", "rabbitmq")
#: Ports on the host, by server; the pooler and the cache are published nowhere.
PUBLISHED = {"postgres": 1100, "redis": 1200, "rabbitmq": 1300}
#: Seconds: short enough that the default of a year leaves less than a third of it.
SHORT = 3600
#: RabbitMQ looks at its certificate every two minutes.
RABBITMQ_LOOKS = 150


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    one = Environment("e2e-tls", tmp_path_factory.mktemp("tls"), NAMES)
    one.remove()  # what an interrupted run of these tests left
    one.configure(tlsData=True, leases={"serverCertificates": SHORT})
    try:
        one.up()
        yield one
    finally:
        one.remove()
        one.engine.close()


def serial(environment: Environment, server: str) -> int:
    """Of the certificate that a server shows to a client on the host, which trusts the stack's root alone."""
    with socket.create_connection(("127.0.0.1", environment.offset + PUBLISHED[server]), 5) as plain:
        if server == "postgres":
            plain.sendall(probe_tls.SSL_REQUEST)
            assert plain.recv(1) == b"S"
        with environment.trust.wrap_socket(plain, server_hostname="localhost") as wrapped:
            return int(str((wrapped.getpeercert() or {})["serialNumber"]), 16)


def test_every_service_is_healthy_and_reaches_what_it_needs(environment: Environment) -> None:
    assert environment.status()["healthy"] == len(NAMES)
    for path, needs in (
        ("/api/v1/ready", {"postgres", "redis"}),
        ("/api/v1/transform/ready", {"postgres", "rabbitmq"}),
    ):
        eventually(lambda path=path: environment.call("GET", path).status_code == 200, 60)
        states = environment.call("GET", path).json()["dependencies"]
        assert needs <= {name for name, state in states.items() if state["status"] == "up"}, path


def test_an_event_goes_through_the_broker_into_the_database(environment: Environment) -> None:
    event = {"id": str(uuid4()), "type": "metric.sampled", "source": "tests", "occurred_at": "2026-01-01T10:00:00Z"}
    sent = environment.call("POST", "/api/v1/events/", json={**event, "payload": {"name": "tls", "value": 1}})
    assert sent.status_code == 202, sent.text
    stored = f"/api/v1/search/events/{event['id']}"
    eventually(lambda: environment.call("GET", stored).status_code == 200, 30)


def test_requests_are_counted_in_redis(environment: Environment) -> None:
    answer = environment.call("GET", "/api/v1/items")
    assert "ratelimit-remaining" in answer.headers, "which it lacks when nothing could be counted"


def test_each_server_takes_clients_that_encrypt_and_is_taken_by_those_that_trust_the_root(
    environment: Environment,
) -> None:
    text = Path(probe_tls.__file__).read_text()
    code, output = environment.container("nexus-backend").exec_run(["python", "-c", text])
    assert code == 0, output.decode()
    found = json.loads(output)
    assert set(found) == {*SERVERS, "management"}
    for server, answers in found.items():
        assert answers["trusting the root"] == "accepted", (server, answers)
        assert "unable to get local issuer certificate" in answers["trusting others"], (server, answers)
        assert "Hostname mismatch" in answers["expecting another name"], (server, answers)
        plain = {answers[kind] for kind in answers if kind.startswith("in plain")}
        assert all(answer.startswith("refused") for answer in plain), (server, answers)


def test_a_client_on_the_host_checks_the_published_ports_too(environment: Environment) -> None:
    for server in PUBLISHED:
        assert serial(environment, server)
    with (
        socket.create_connection(("127.0.0.1", environment.offset + PUBLISHED["redis"]), 5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


def test_no_key_is_where_it_can_be_read_by_others(environment: Environment) -> None:
    for container in environment.containers():
        config = container.attrs["Config"]
        assert "PRIVATE KEY" not in json.dumps([config["Env"], config["Cmd"], config["Labels"]]), container.name
    shown = environment.pulumi(f"stack export -s {environment.stack}")
    assert shown.returncode == 0
    assert "PRIVATE KEY" not in shown.stdout


def test_a_second_up_changes_nothing(environment: Environment) -> None:
    before = started(environment)
    assert environment.changes("--refresh") == {}
    environment.up()
    assert started(environment) == before


def test_a_certificate_in_its_last_third_is_renewed_and_no_request_fails(environment: Environment) -> None:
    before, running = {name: serial(environment, name) for name in PUBLISHED}, started(environment)
    environment.configure(tlsData=True)  # of a year, an hour is less than a third
    environment.up()
    assert {name: serial(environment, name) for name in PUBLISHED} == before, "a declared life alone renews nothing"
    due = environment.changes("--refresh")
    assert due["replace"] == {f"certificates-{name}" for name in SERVERS}
    assert due["update"] == {f"{name}-{part}" for name in SERVERS for part in ("files", "ready")}
    with Load(environment) as load:
        load.at_least(20)
        environment.up()
        for name in PUBLISHED:
            eventually(lambda name=name: serial(environment, name) != before[name], RABBITMQ_LOOKS)
        load.at_least(100)
    assert load.answers.keys() == {"200"}, load.answers
    assert started(environment) == running, "no container was started again"
    assert environment.changes("--refresh") == {}
    assert environment.call("GET", "/api/v1/transform/ready").status_code == 200


def test_a_rotation_renews_at_once_what_is_valid_for_long(environment: Environment) -> None:
    before, running = {name: serial(environment, name) for name in PUBLISHED}, started(environment)
    with Load(environment) as load:
        load.at_least(20)
        done = environment.nexus("rotate", "certificates")
        assert done.returncode == 0, done.stdout + done.stderr
        for name in PUBLISHED:
            eventually(lambda name=name: serial(environment, name) != before[name], RABBITMQ_LOOKS)
        load.at_least(100)
    assert load.answers.keys() == {"200"}, load.answers
    assert started(environment) == running, "no container was started again"
