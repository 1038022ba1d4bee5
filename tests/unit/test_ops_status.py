"""The documents and tables that describe an environment, from what an engine says."""

import json
import socket
from dataclasses import replace

import jsonschema
import pytest

from infra import catalog
from infra.settings import Settings
from ops import console, doctor, endpoints, inputs, objects, ports, preflight, status, witnesses
from ops.errors import BAD_INPUT, MACHINE, UNHEALTHY, Failure
from ops.inputs import Inputs
from ops.paths import ROOT
from ops.preflight import Check


def schema(name):
    return json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text())


def check(document, name):
    jsonschema.Draft202012Validator(schema(name), format_checker=jsonschema.FormatChecker()).validate(document)


@pytest.fixture
def chosen():
    settings = Settings()
    return Inputs("dev", settings, catalog.load(settings, "dev"))


def container(entry, *, state="running", health="healthy", stand_in=False):
    return {
        "Id": "c" * 64,
        "State": {"Status": state, "StartedAt": "2026-01-01T00:00:00Z", "Health": {"Status": health}},
        "Config": {
            "Image": "nexus/x:1",
            "Labels": {"nexus.service": entry.name, "nexus.kind": "service", "nexus.stand-in": str(stand_in).lower()},
            "Healthcheck": {"Test": ["CMD", "ask", "it"]},
        },
        "NetworkSettings": {
            "Ports": {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}] for port in entry.ports.values()}
        },
    }


class Asked:
    """A client whose exec answers with ``code``."""

    def __init__(self, code):
        self.api, self.code, self.commands = self, code, []

    def exec_create(self, identity, command):
        self.commands.append(command)
        return {"Id": "e"}

    def exec_start(self, identity):
        return b""

    def exec_inspect(self, identity):
        return {"ExitCode": self.code}


def test_every_published_schema_is_one():
    for path in (ROOT / "docs" / "schemas").glob("*.schema.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_the_document_counts_the_healthy_and_follows_the_published_schema(chosen):
    rows = [status.row(entry, container(entry), None) for entry in chosen.services[:-1]]
    rows.append(status.row(chosen.services[-1], None, None))
    document = status.document("dev", rows)
    check(document, "status")
    assert (document["healthy"], document["total"]) == (len(rows) - 1, len(rows))
    assert document["services"][-1]["state"] == "missing"


@pytest.mark.parametrize(
    ("state", "health", "expected"),
    [("running", "healthy", "healthy"), ("running", "unhealthy", "unhealthy"), ("exited", "healthy", "unhealthy"),
     ("restarting", "starting", "unhealthy")],
)  # fmt: skip
def test_only_what_runs_and_answers_its_check_is_healthy(chosen, state, health, expected):
    row = status.row(chosen.services[0], container(chosen.services[0], state=state, health=health), None)
    assert row.health == expected
    check(status.document("dev", [row]), "status")


@pytest.mark.parametrize(("code", "expected"), [(0, "healthy"), (1, "starting")])
def test_before_the_engines_first_check_the_same_check_is_asked_now(chosen, code, expected):
    client = Asked(code)
    assert status.health(container(chosen.services[0], health="starting"), client) == expected
    assert client.commands == [["ask", "it"]]


def instances(entry, *healths):
    """The containers of a service: the first has the ports."""
    found = [container(entry, health=health) for health in healths]
    for one in found[1:]:
        one["NetworkSettings"]["Ports"] = {}
    return found


@pytest.fixture
def backend(chosen):
    entry = next(entry for entry in chosen.services if entry.name == "nexus-backend")
    assert entry.replicas == 2
    return entry


def test_a_service_is_as_well_as_the_worst_of_its_containers_and_reached_where_one_is_published(backend):
    row = status.of_containers(backend, instances(backend, "healthy", "unhealthy"), None)
    assert (row.health, row.instances) == ("unhealthy", 2)
    assert row.endpoints == {"main": "http://127.0.0.1:8000"}
    assert status.of_containers(backend, instances(backend, "healthy", "healthy"), None).well


def test_fewer_containers_than_wanted_are_not_well_and_none_is_missing(backend):
    row = status.of_containers(backend, instances(backend, "healthy"), None)
    assert (row.state, row.health, row.instances) == ("running", "unhealthy", 1)
    assert status.of_containers(backend, [], None).state == status.MISSING


def test_a_helper_or_a_neighbour_does_not_count_as_the_service(chosen, backend):
    helper, neighbour = container(backend), container(chosen.services[0])
    helper["Config"]["Labels"]["nexus.kind"] = "helper"
    assert status.of_containers(backend, [helper, neighbour], None).state == status.MISSING


@pytest.fixture
def said_of(monkeypatch, chosen):
    """The rows of a platform whose containers are all healthy, with what witnesses say who know ``answers``."""

    def rows(entries=None, *, listed=None, routed=None):
        asked = []

        def consul(client, container, address):
            asked.append(("consul", container, address))
            return witnesses.Verdicts(listed or {})

        def gateway(client, container, address, services):
            asked.append(("kong", container, address, set(services)))
            return witnesses.Verdicts(routed or {})

        monkeypatch.setattr(witnesses, "consul", consul)
        monkeypatch.setattr(witnesses, "gateway", gateway)
        entries = chosen.services if entries is None else entries
        found = [container(entry) for entry in entries]
        for one in found:
            one["Id"] = f"id-of-{one['Config']['Labels']['nexus.service']}"
        rows = [status.row(entry, container(entry), None) for entry in entries]
        rows += [status.row(entry, None, None) for entry in chosen.services if entry not in entries]
        return {row.name: row for row in status.with_witnesses(chosen, None, found, rows)}, asked

    return rows


def test_a_service_is_well_when_engine_consul_and_gateway_agree(chosen, said_of):
    names = [entry.name for entry in chosen.services]
    rows, asked = said_of(listed=dict.fromkeys(names, "passing"), routed=dict.fromkeys(names, "HEALTHY"))
    assert all(row.well for row in rows.values())
    published = {entry.name for entry in chosen.services if entry.kind == "service" and entry.routes}
    assert {name for name, row in rows.items() if row.gateway} == published and len(published) == 20
    assert asked == [
        ("consul", "id-of-consul", "http://127.0.0.1:3000"),
        ("kong", "id-of-kong", "http://127.0.0.1:3100", published),
    ]


def test_one_witness_against_it_is_enough(chosen, said_of):
    names = [entry.name for entry in chosen.services]
    passing, healthy = dict.fromkeys(names, "passing"), dict.fromkeys(names, "HEALTHY")
    rows, _ = said_of(listed={**passing, "kibana": "critical"}, routed={**healthy, "files": "UNHEALTHY"})
    assert {name for name, row in rows.items() if not row.well} == {"kibana", "files"}
    rows, _ = said_of(listed={}, routed=healthy)
    assert rows["postgres"].discovery == "absent" and not any(row.well for row in rows.values())


def test_who_is_not_up_is_not_asked(chosen, said_of):
    only = [entry for entry in chosen.services if entry.name in ("postgres", "redis")]
    rows, asked = said_of(only)
    assert asked == [] and rows["postgres"].well and rows["postgres"].discovery is None


def test_a_witness_that_does_not_run_is_asked_in_no_container(chosen):
    described = container(next(entry for entry in chosen.services if entry.name == "consul"), state="exited")
    assert status.running([described], "consul") == ""


def test_a_shell_check_is_asked_through_a_shell_and_a_disabled_one_not_at_all(chosen):
    client, described = Asked(0), container(chosen.services[0], health="starting")
    described["Config"]["Healthcheck"]["Test"] = ["CMD-SHELL", "ask | it"]
    assert status.health(described, client) == "healthy"
    described["Config"]["Healthcheck"]["Test"] = ["NONE"]
    assert status.health(described, client) == "starting"
    assert client.commands == [["/bin/sh", "-c", "ask | it"]]


def test_endpoints_are_what_is_really_published_with_the_scheme_of_the_server(chosen):
    by_name = {entry.name: entry for entry in chosen.services}
    urls = endpoints.of(by_name["kong"], container(by_name["kong"]))
    assert urls == {
        "main": "http://127.0.0.1:3100",
        "proxy": "http://127.0.0.1:4200",
        "proxy_tls": "https://127.0.0.1:4300",
    }
    described = container(by_name["postgres"])
    assert endpoints.of(by_name["postgres"], described) == {"main": "postgresql://127.0.0.1:1100"}
    described["NetworkSettings"]["Ports"] = {"5432/tcp": None}
    assert endpoints.of(by_name["postgres"], described) == {}


def test_encrypted_data_servers_have_the_scheme_that_says_so(chosen):
    found = [container(entry) for entry in chosen.services]
    for settings, wanted in (
        ({}, ["redis://127.0.0.1:1200", "amqp://127.0.0.1:1300", "http://127.0.0.1:1350", "http://127.0.0.1:3000"]),
        (
            {"tlsData": True},
            ["rediss://127.0.0.1:1200", "amqps://127.0.0.1:1300", "https://127.0.0.1:1350", "http://127.0.0.1:3000"],
        ),
    ):
        inputs = replace(chosen, settings=Settings.model_validate(settings))
        rows = {row.name: row.endpoints for row in status.seen(inputs, None, found)}
        cache, queue, registry = (rows[name] for name in ("redis", "rabbitmq", "consul"))
        assert [cache["main"], queue["main"], queue["management"], registry["main"]] == wanted


@pytest.fixture
def said(monkeypatch, chosen):
    monkeypatch.setattr(inputs, "load", lambda _: chosen)
    console.out.cache_clear()
    yield
    console.out.cache_clear()


def test_the_exit_code_is_5_until_everything_is_healthy(said, monkeypatch, chosen, capsys):
    rows = [status.row(entry, container(entry, stand_in=True), None) for entry in chosen.services]
    monkeypatch.setattr(status, "collect", lambda _: rows)
    assert status.run("dev", as_json=False) == 0
    shown = capsys.readouterr().out
    assert f"{len(rows)} of {len(rows)} healthy" in shown and "stand-in" in shown
    rows[0] = replace(rows[0], health="unhealthy")
    assert status.run("dev", as_json=True) == UNHEALTHY
    check(json.loads(capsys.readouterr().out), "status")


def test_a_stack_that_is_not_up_is_said_in_one_line(said, monkeypatch, chosen, capsys):
    monkeypatch.setattr(status, "collect", lambda _: [status.row(entry, None, None) for entry in chosen.services])
    assert status.run("dev", as_json=False) == UNHEALTHY
    assert "dev is not up" in capsys.readouterr().out


def test_a_port_of_this_stacks_own_container_is_no_conflict(chosen):
    own = {item.port: ("nexus-dev-x", "dev") for item in ports.wanted(chosen)}
    assert ports.conflicts(chosen, own) == []


def test_a_port_of_another_stacks_container_names_container_and_stack(chosen):
    first = ports.wanted(chosen)[0]
    others = {item.port: ("nexus-dev-x", "dev") for item in ports.wanted(chosen)}
    others[first.port] = ("nexus-prod-postgres", "prod")
    assert ports.conflicts(chosen, others) == [(first, "container nexus-prod-postgres of stack prod")]


@pytest.fixture
def listening(chosen):
    """Settings under which one service's port is really taken, by this process."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        entries = tuple(
            entry.model_copy(update={"port": port, "extra_ports": {}}) if entry.name == "redis" else entry
            for entry in chosen.services
        )
        yield Inputs("dev", chosen.settings, chosen.catalog.model_copy(update={"services": entries})), port


def test_a_port_taken_by_a_process_names_it_and_the_setting_to_change(listening):
    taken, port = listening
    found = [pair for pair in ports.conflicts(taken, {}) if pair[0].port == port]
    failure = ports.failure(taken, found)
    assert failure.code == BAD_INPUT
    assert str(port) in failure.why and "redis.port" in failure.why and "pid" in failure.why
    assert "Pulumi.dev.yaml" in failure.remedy and "portOffset" in failure.remedy


def test_a_free_port_is_free():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert ports.taken("127.0.0.1", port)
    assert not ports.taken("127.0.0.1", port)


def test_a_full_disk_stops_before_anything_is_made(monkeypatch):
    monkeypatch.setenv("NEXUS_MIN_DISK_BYTES", str(10**18))
    with pytest.raises(Failure) as caught:
        preflight.require_space()
    assert caught.value.code == MACHINE
    assert "GiB free" in caught.value.what and "docker image" in caught.value.remedy


@pytest.mark.parametrize(("result", "code"), [(preflight.OK, 0), (preflight.WARNING, 0), (preflight.FAILED, MACHINE)])
def test_the_doctor_exits_with_3_only_when_something_lacks(said, monkeypatch, capsys, result, code):
    checks = [Check("disk", preflight.OK, "1 GiB", "enough"), Check("go", result, "not there", "there", "get it")]
    monkeypatch.setattr(preflight, "every", lambda *_: iter(checks))
    assert doctor.run("dev", as_json=True) == code
    document = json.loads(capsys.readouterr().out)
    check(document, "doctor")
    assert document["ok"] == (code == 0)
    assert doctor.run("dev", as_json=False) == code
    assert ("get it" in capsys.readouterr().out) == (result != preflight.OK)


def test_the_doctor_reports_wrong_settings_as_a_check(capsys, monkeypatch):
    monkeypatch.setattr(preflight, "engine", lambda: Check("docker engine", preflight.OK, "", ""))
    assert doctor.run("no-such-stack", as_json=True) == MACHINE
    document = json.loads(capsys.readouterr().out)
    check(document, "doctor")
    settings = document["checks"][0]
    assert settings["result"] == preflight.FAILED and "no-such-stack" in settings["value"]


def test_an_engine_that_is_down_is_a_failure_with_a_remedy(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Failure) as caught, objects.connect(timeout=2):
        pytest.fail("connected")
    assert caught.value.code == MACHINE and "doctor" in caught.value.remedy
    assert preflight.engine().result == preflight.FAILED
