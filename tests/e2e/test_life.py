"""The life of an environment: up, looked at, changed, damaged, repaired, beside another one, gone."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.e2e.environment import ADMIN, GATEWAY, REGISTRY, Environment

SERVICES = {"postgres", "redis", "consul", "kong", "nexus-backend"}


def eventually(check, seconds: float = 30.0) -> None:
    """Wait until ``check`` is true; a last try outside the loop shows its own failure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if check():
                return
        except (httpx.HTTPError, AssertionError, KeyError):
            pass
        time.sleep(0.3)
    assert check()


def started(environment: Environment) -> dict[str, str]:
    return {c.name: c.attrs["State"]["StartedAt"] for c in environment.containers()}


def test_every_service_is_healthy_and_the_gateway_leads_to_the_backend(environment: Environment) -> None:
    status = environment.status()
    assert (status["healthy"], status["total"]) == (len(SERVICES), len(SERVICES))
    assert {service["name"] for service in status["services"]} == SERVICES
    answer = environment.ready()
    assert answer.status_code == 200
    assert {name: d["status"] for name, d in answer.json()["dependencies"].items()} == {
        "postgres": "up",
        "redis": "up",
    }


def test_the_backend_stores_through_the_gateway_what_it_is_given(environment: Environment) -> None:
    made = httpx.post(environment.url(GATEWAY, "/api/v1/items"), json={"name": "first"}, timeout=10)
    assert made.status_code == 201, made.text
    listed = httpx.get(environment.url(GATEWAY, "/api/v1/items"), timeout=10)
    assert "first" in listed.text


def test_a_second_up_and_a_plain_preview_change_nothing(environment: Environment) -> None:
    before = started(environment)
    assert environment.changes("--refresh") == {}
    plain = environment.pulumi(f"preview -s {environment.stack} --expect-no-changes --non-interactive")
    assert plain.returncode == 0, plain.stdout + plain.stderr
    environment.up()
    assert started(environment) == before


def test_consul_lists_the_backend_with_its_check_passing(environment: Environment) -> None:
    def passing() -> bool:
        (entry,) = httpx.get(environment.url(REGISTRY, "/v1/health/service/nexus-backend"), timeout=5).json()
        assert (entry["Service"]["Address"], entry["Service"]["Port"]) == ("nexus-backend", 8000)
        (check,) = [c for c in entry["Checks"] if c["CheckID"] == "nexus-backend-health"]
        return check["Status"] == "passing"

    eventually(passing)
    assert environment.changes("--refresh") == {}, "what the monitor writes is not drift"


def test_another_service_is_one_setting_and_restarts_nothing(environment: Environment) -> None:
    before = started(environment)
    environment.configure(services={"users": {"enabled": True}})
    changes = environment.changes()
    assert changes.keys() == {"create", "update"}
    assert changes["update"] == {"postgres-ready", "redis-files", "redis-ready"}
    environment.up()
    assert before.items() <= started(environment).items()
    eventually(lambda: httpx.get(environment.url(GATEWAY, "/api/v1/users/ready"), timeout=10).status_code == 200)
    environment.configure()
    environment.up()
    assert started(environment) == before


def test_one_changed_setting_changes_just_that(environment: Environment) -> None:
    before = started(environment)
    environment.configure(services={"redis": {"memory": 160}})
    changes = environment.changes()
    assert changes.pop("replace") == {"redis-server"}
    assert changes == {"update": {"redis-files", "redis-ready"}}
    environment.up()
    after = started(environment)
    assert {name for name in after if after[name] != before[name]} == {f"nexus-{environment.stack}-redis"}
    assert environment.container("redis").attrs["HostConfig"]["Memory"] == 160 * 2**20
    eventually(lambda: environment.ready().status_code == 200)


@pytest.mark.parametrize("service", ["nexus-backend", "kong", "postgres"])
def test_a_container_removed_by_hand_is_seen_and_made_again(environment: Environment, service: str) -> None:
    environment.container(service).remove(force=True)
    environment.up()
    assert environment.status()["healthy"] == len(SERVICES)
    eventually(lambda: environment.ready().status_code == 200)
    assert environment.changes("--refresh") == {}


def test_a_route_deleted_or_edited_by_hand_is_seen_and_repaired(environment: Environment) -> None:
    route = environment.url(ADMIN, "/routes/nexus-backend-0")
    assert httpx.patch(route, json={"paths": ["/elsewhere"]}).status_code == 200
    assert environment.changes("--refresh") == {"update": {"nexus-backend-routes-route-0"}}
    assert httpx.delete(route).status_code == 204
    assert environment.changes("--refresh") == {"create": {"nexus-backend-routes-route-0"}}
    environment.up()
    eventually(lambda: environment.ready().status_code == 200)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_restarted_container_is_healthy_again_without_a_hand(environment: Environment, service: str) -> None:
    environment.container(service).restart(timeout=10)
    eventually(lambda: environment.status()["healthy"] == len(SERVICES), 60)
    eventually(lambda: environment.ready().status_code == 200)


def test_no_secret_is_in_inspect_logs_preview_or_plain_state(environment: Environment) -> None:
    shown = environment.pulumi(f"stack export -s {environment.stack} --show-secrets").stdout
    resources = json.loads(shown)["deployment"]["resources"]
    secrets = {
        json.loads(r["outputs"]["value"]["plaintext"]) for r in resources if r["type"] == "nexus:index:GeneratedSecret"
    }
    assert len(secrets) >= 4 and all(len(secret) == 32 for secret in secrets)
    places = {
        "state": "".join(p.read_text(errors="replace") for p in environment.home.rglob("*.json*")),
        "preview": environment.nexus("preview", "--json").stdout + environment.nexus("preview", "--refresh").stdout,
        "pulumi preview": environment.pulumi(f"preview --diff -s {environment.stack}").stdout,
        "outputs": environment.pulumi(f"stack output -s {environment.stack} --json").stdout,
    }
    for container in environment.containers():
        places[f"inspect {container.name}"] = json.dumps(container.attrs)
        places[f"logs {container.name}"] = container.logs().decode(errors="replace")
        places[f"top {container.name}"] = json.dumps(container.top())
    assert len(places["state"]) > 1000
    for place, text in places.items():
        assert not [secret for secret in secrets if secret in text], place


def test_two_environments_live_side_by_side_and_down_leaves_nothing(
    environment: Environment, empty: Environment
) -> None:
    empty.up()
    assert environment.ready().status_code == empty.ready().status_code == 200
    assert len(empty.leftovers()) > 10
    done = empty.nexus("down", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert empty.leftovers() == []
    assert environment.ready().status_code == 200
    assert environment.status()["healthy"] == len(SERVICES)
