"""The life of an environment: up, looked at, changed, damaged, repaired, beside another one, gone."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from tests import oidc
from tests.e2e.environment import CORE, GATEWAY, HELPERS, Environment, copied
from tests.e2e.load import Load

pytestmark = pytest.mark.e2e


def eventually(check, seconds: float = 30.0, every: float = 0.3) -> None:
    """Wait until ``check`` is true; a last try outside the loop shows its own failure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if check():
                return
        except (httpx.HTTPError, oidc.OidcError, AssertionError, KeyError):
            pass
        time.sleep(every)
    assert check()


def names(environment: Environment, *services: str) -> set[str]:
    """The containers of services by the names they have in an environment."""
    return {f"nexus-{environment.stack}-{service}" for service in services}


def healthy(environment: Environment) -> bool:
    return environment.status()["healthy"] == len(CORE) and environment.ready().status_code == 200


def started(environment: Environment) -> dict[str, str]:
    """Containers by name: one that the healer restarts is the same, one that an update makes again is another."""
    return {container.name: container.id for container in environment.containers()}


def key_of(tokens: oidc.Tokens) -> str:
    """The name of the key that signed a token."""
    return oidc.claims(tokens.access)["gw"].rpartition(":")[2]


def passing(environment: Environment, service: str) -> list[str]:
    """The nodes on which Consul's checks of a service pass."""
    found = environment.consul(f"/v1/health/service/{service}?passing=true").json()
    return [entry["Node"]["Node"] for entry in found]


def file_of(environment: Environment, service: str, path: str) -> str:
    """A file of a container, whoever may read it."""
    chunks, _ = environment.container(service).get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        inside = archive.extractfile(archive.getmembers()[0])
        assert inside
        return inside.read().decode()


def test_every_service_is_healthy_and_the_gateway_leads_to_the_backend(environment: Environment) -> None:
    status = environment.status()
    assert (status["healthy"], status["total"]) == (len(CORE), len(CORE))
    assert {service["name"]: service["well"] for service in status["services"]} == dict.fromkeys(CORE, True)
    assert {container.name for container in environment.containers()} == names(environment, *CORE, *HELPERS)
    answer = environment.ready()
    assert answer.status_code == 200
    asked = {name: dependency["status"] for name, dependency in answer.json()["dependencies"].items()}
    assert asked == dict.fromkeys(("postgres", "redis", "vault", "consul"), "up")


def test_the_backend_stores_through_the_gateway_what_it_is_given(environment: Environment) -> None:
    made = environment.call("POST", "/api/v1/items", json={"name": "first"})
    assert made.status_code == 201, made.text
    assert "first" in environment.call("GET", "/api/v1/items").text
    assert httpx.get(environment.url(GATEWAY, "/api/v1/items"), timeout=10).status_code == 401, "nobody signed in"


def test_a_second_up_and_a_plain_preview_change_nothing(environment: Environment) -> None:
    before = started(environment)
    assert environment.changes("--refresh") == {}
    plain = environment.pulumi(f"preview -s {environment.stack} --expect-no-changes --non-interactive")
    assert plain.returncode == 0, plain.stdout + plain.stderr
    environment.up()
    assert started(environment) == before


def test_consul_lists_the_backend_with_its_check_passing(environment: Environment) -> None:
    def passing() -> bool:
        (entry,) = environment.consul("/v1/health/service/nexus-backend").json()
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
    assert changes["update"] == {
        *("postgres-ready", "migrations-run", "redis-cache-files", "redis-cache-ready"),
        "gateway-request-termination-docs",
    }
    environment.up()
    assert before.items() <= started(environment).items()
    eventually(lambda: environment.call("GET", "/api/v1/users/ready").status_code == 200)
    environment.configure()
    environment.up()
    assert started(environment) == before


def test_one_changed_setting_changes_just_that(environment: Environment) -> None:
    before = started(environment)
    environment.configure(services={"nexus-backend": {"memory": 208}})
    assert environment.changes() == {"update": {"nexus-backend-server"}}
    environment.up()
    assert started(environment) == before, "the engine changes a limit while the container runs"
    assert environment.container("nexus-backend").attrs["HostConfig"]["Memory"] == 208 * 2**20
    eventually(lambda: environment.ready().status_code == 200)


def test_of_two_replicas_one_can_be_killed_without_a_refused_request(environment: Environment) -> None:
    before = started(environment)
    environment.configure(services={"nexus-backend": {"replicas": 2, "memory": 208}})
    environment.up()
    assert before.items() <= started(environment).items()
    second = environment.container("nexus-backend-2")
    with Load(environment) as load:
        second.kill()
        assert environment.container("nexus-backend-2").status == "exited"
        load.at_least(50)
        eventually(lambda: environment.container("nexus-backend-2").status == "running", 60)
        load.at_least(50)
    assert load.answers.keys() == {"200"}, load.answers
    eventually(lambda: len(passing(environment, "nexus-backend")) == 2, 60)
    environment.configure()
    environment.up()
    assert started(environment).keys() == before.keys()


def test_a_33rd_service_is_one_entry_and_no_code(environment: Environment, tmp_path: Path) -> None:
    """The project as it is, but for an entry in a copy of its catalogue, brings the same environment up."""
    before, other = started(environment), replace(environment, root=copied(tmp_path / "project"))
    catalogue = other.root / "infra" / "services.yaml"
    entry = {
        "group": "application",
        "port": 4900,
        "needs": ["postgres", "redis"],
        "routes": [{"path": "/api/v1/extra"}],
    }
    catalogue.write_text(f"{catalogue.read_text()}\n{yaml.safe_dump({'extra': entry})}")
    shutil.copy(environment.settings_file, other.settings_file)
    other.up()
    assert other.status()["healthy"] == len(CORE) + 1
    assert before.items() <= started(environment).items()
    made = other.call("POST", "/api/v1/extra/items", json={"name": "of the new service"})
    assert made.status_code == 201, made.text
    assert "of the new service" not in environment.call("GET", "/api/v1/items").text, "it has a database of its own"
    eventually(lambda: len(passing(environment, "extra")) == 1)
    environment.up()
    assert started(environment) == before


@pytest.mark.parametrize("service", ["nexus-backend", "kong", "postgres", "vault", "consul"])
def test_a_container_removed_by_hand_is_seen_and_made_again(environment: Environment, service: str) -> None:
    environment.container(service).remove(force=True)
    environment.up()
    eventually(lambda: healthy(environment))
    assert environment.changes("--refresh") == {}


def test_a_route_deleted_or_edited_by_hand_is_seen_and_repaired(environment: Environment) -> None:
    route = "/routes/nexus-backend-0"
    assert environment.kong("PATCH", route, json={"paths": ["/elsewhere"]}).status_code == 200
    assert environment.changes("--refresh") == {"update": {"nexus-backend-routes-route-0"}}
    assert environment.kong("DELETE", route).status_code == 204
    assert environment.changes("--refresh") == {"create": {"nexus-backend-routes-route-0"}}
    environment.up()
    eventually(lambda: environment.ready().status_code == 200)


@pytest.mark.parametrize("service", sorted(CORE | HELPERS))
def test_a_restarted_container_is_healthy_again_without_a_hand(environment: Environment, service: str) -> None:
    environment.container(service).restart(timeout=10)
    eventually(lambda: environment.container(service).attrs["State"]["Health"]["Status"] == "healthy", 60)
    eventually(lambda: healthy(environment), 60)


@pytest.mark.parametrize("what", ["redis", "postgres"])
def test_new_passwords_restart_nothing_and_refuse_nobody(environment: Environment, what: str) -> None:
    before = started(environment)
    with Load(environment) as load:
        load.at_least(10)
        done = environment.nexus("rotate", what)
        assert done.returncode == 0, done.stdout + done.stderr
        eventually(lambda: healthy(environment))
        load.at_least(20)
    assert started(environment) == before
    assert load.answers.keys() == {"200"}, load.answers
    assert environment.changes("--refresh") == {}
    # The gateway has to write: its own connections of before would hide a password that it does not know.
    ended = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kong'"
    assert environment.container("postgres").exec_run(["psql", "-U", "postgres", "-c", ended]).exit_code == 0
    eventually(lambda: gateway_writes(environment), 30)


def gateway_writes(environment: Environment) -> bool:
    """Whether the gateway can change what is in its database."""
    made = environment.kong("POST", "/consumers", json={"username": "of-a-test"})
    return made.status_code == 201 and environment.kong("DELETE", "/consumers/of-a-test").status_code == 204


def test_a_new_signing_key_is_used_and_tokens_of_the_one_before_stay_valid(environment: Environment) -> None:
    before = environment.sign_in()
    with Load(environment) as load:
        load.at_least(10)
        done = environment.nexus("rotate", "signing-key")
        assert done.returncode == 0, done.stdout + done.stderr
        eventually(lambda: key_of(environment.sign_in()) != key_of(before), 60, every=5)
        load.at_least(20)
        new = environment.sign_in()
    assert load.answers.keys() == {"200"}, load.answers
    answer = httpx.get(f"{environment.outputs['url']}/api/v1/items", headers=new.bearer, verify=environment.trust)
    assert answer.status_code == 200, "by the new key"


def test_no_secret_is_in_inspect_logs_preview_or_plain_state(environment: Environment) -> None:
    shown = environment.pulumi(f"stack export -s {environment.stack} --show-secrets").stdout
    resources = json.loads(shown)["deployment"]["resources"]
    secrets = {
        json.loads(r["outputs"]["value"]["plaintext"]) for r in resources if r["type"] == "nexus:index:GeneratedSecret"
    }
    assert len(secrets) >= 20 and all(len(secret) == 32 for secret in secrets)
    key = file_of(environment, "vault-keeper", "/vault/file/unseal-key").strip()
    assert len(key) == 44, "32 bytes in base64"
    secrets |= {key, environment.sign_in().access}
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
    eventually(lambda: environment.ready().status_code == empty.ready().status_code == 200)
    assert len(empty.leftovers()) > 10
    done = empty.nexus("down", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert empty.leftovers() == []
    assert healthy(environment)
