"""What the components of the data services declare, seen without any plugin."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from components import migrations, pgbouncer, postgres, rabbitmq, redis
from components._postgres import Database
from components.workload import ContainerEngine, Port, ServerArgs
from infra import images
from tests.components.recorder import Recorder, declare

SECRET, EXEC, CONTAINER = "nexus:index:GeneratedSecret", "nexus:index:Exec", "docker:index/container:Container"
USERS, KONG = Database(name="users", owner="users"), Database(name="kong", owner="kong", login=True)


def runtime() -> dict[str, Any]:
    return {"image": "an-image", "network": "a-network", "engine": ContainerEngine()}


def postgres_spec(**changed: Any) -> postgres.PostgresSpec:
    fixed = {"stack": "dev", "contract": images.contract("postgres"), "port": Port(container=5432, host=1100)}
    return postgres.PostgresSpec(**{**fixed, "memory_mib": 384, "databases": (USERS, KONG), **changed})


def redis_spec(**changed: Any) -> redis.RedisSpec:
    users = (redis.User(name="auth"), redis.User(name="kong", prefix="ratelimit:", commands=redis.RATE_LIMITING))
    fixed = {"stack": "dev", "contract": images.contract("redis"), "memory_mib": 128, "users": users}
    return redis.RedisSpec(**{**fixed, **changed})


def rabbitmq_spec(*names: str, **changed: Any) -> rabbitmq.RabbitmqSpec:
    consumers = tuple(rabbitmq.Consumer(name=name, topics=("items.created",)) for name in names)
    fixed = {"stack": "dev", "contract": images.contract("rabbitmq"), "memory_mib": 384, "ports": ()}
    return rabbitmq.RabbitmqSpec(**{**fixed, "consumers": consumers, **changed})


@pytest.fixture(scope="module")
def platform() -> Recorder:
    def program() -> None:
        server = postgres.Postgres("postgres", postgres_spec(), ServerArgs(**runtime()))
        pool = pgbouncer.PgbouncerSpec(stack="dev", contract=images.contract("pgbouncer"), connections=100)
        login = server.logins[postgres.POOLER]
        pgbouncer.Pgbouncer("pgbouncer", pool, pgbouncer.PgbouncerArgs(**runtime(), login=login))
        target = migrations.Target(database="users", owner="users", history="items", acknowledged=("0002",))
        migrations.Migrations(
            "migrations",
            migrations.MigrationsSpec(stack="dev", contract=images.contract("service"), targets=(target,)),
            migrations.MigrationsArgs(
                image="services",
                network="a-network",
                login=server.logins[postgres.MIGRATOR],
                ready=server.running.ready.after(server.running.ready.containerId),
            ),
        )
        redis.Redis("redis", redis_spec(generation=2), ServerArgs(**runtime()))
        rabbitmq.Rabbitmq("rabbitmq", rabbitmq_spec("transform"), ServerArgs(**runtime()))

    return declare(program)


def files(recorder: Recorder, name: str) -> dict[str, str]:
    return recorder.one(f"{name}-files").inputs["files"]


def test_only_the_platforms_logins_and_programs_with_one_login_have_passwords(platform: Recorder) -> None:
    made = {r.name for r in platform.of(SECRET) if r.name.startswith("postgres-")}
    logins = {"vault", "migrator", "pooler", "kong"}
    assert made == {"postgres-password", *(f"postgres-{login}-password" for login in logins)}


def test_the_script_gives_each_login_no_more_than_it_has_to(platform: Recorder) -> None:
    script = platform.one("postgres-ready").inputs["stdin"]
    assert "ALTER ROLE \"vault\" LOGIN CREATEROLE NOINHERIT PASSWORD 'secret-of-postgres-vault-password';" in script
    assert 'ALTER ROLE "users" NOLOGIN PASSWORD NULL;' in script and 'ALTER ROLE "kong" NOLOGIN' not in script
    assert 'REVOKE ALL ON DATABASE "users" FROM PUBLIC;' in script
    assert 'GRANT "users" TO "vault" WITH ADMIN OPTION;' in script and 'GRANT "users" TO "pooler"' not in script
    assert "SUPERUSER" not in script


def test_no_password_is_in_a_command_an_environment_or_a_label(platform: Recorder) -> None:
    for resource in platform.of(CONTAINER):
        exposed = str([resource.inputs.get(key) for key in ("envs", "command", "labels", "healthcheck")])
        assert "secret-of-" not in exposed, resource.name
    job = platform.one("migrations-run").inputs
    assert "secret-of-" not in str([job[key] for key in ("env", "command", "labels")])
    assert files(platform, "migrations") == {"migrator-password": "secret-of-postgres-migrator-password"}


@pytest.mark.parametrize("memory", [128, 384, 1024, 8192])
def test_the_memory_limit_bounds_what_postgresql_takes(memory: int) -> None:
    spec = postgres_spec(memory_mib=memory)
    settings = postgres.settings(spec)
    buffers, most = int(settings["shared_buffers"][:-2]), int(settings["max_connections"])
    assert buffers == memory // 4
    assert most == spec.max_connections >= 40
    if memory >= 384:
        assert buffers + most * 2 <= memory


def test_the_pooler_leaves_connections_for_who_comes_past_it(platform: Recorder) -> None:
    text = files(platform, "pgbouncer")["pgbouncer.ini"]
    assert "* = host=postgres port=5432 auth_user=pooler" in text
    assert "max_db_connections = 50" in text and "pool_mode = session" in text
    assert "secret-of-" not in text
    assert files(platform, "pgbouncer")["userlist.txt"].startswith('"pooler" "secret-of-postgres-pooler-password"\n')
    assert set(platform.one("pgbouncer-files").inputs["live"]) == {"pgbouncer.ini", "userlist.txt"}


def test_migrations_run_when_the_databases_are_there_and_again_with_another_server(platform: Recorder) -> None:
    job = platform.one("migrations-run").inputs
    assert job["triggers"] == {"databases": "postgres-server-id"}
    assert json.loads(job["env"]["NEXUS_MIGRATIONS"]) == [
        {"database": "users", "owner": "users", "history": "items", "acknowledged": ["0002"]}
    ]
    assert job["masked"] == ["secret-of-postgres-migrator-password"]
    assert (job["volume"], job["mount"]) == ("nexus-dev-migrations-files", "/run/secrets")


def digest(text: str) -> str:
    return "#" + hashlib.sha256(text.encode()).hexdigest()


def test_the_password_before_a_rotation_is_accepted_until_the_next(platform: Recorder) -> None:
    lines = files(platform, "redis")["users.acl"].splitlines()
    (auth,) = (line for line in lines if line.startswith("user auth "))
    accepted = f"{digest('secret-of-redis-auth.1-password')} {digest('secret-of-redis-auth.2-password')}"
    assert auth == f"user auth on {accepted} ~auth:* &auth:* {redis.SERVICE}"
    assert "secret-of-" not in str(lines)


def test_a_service_is_given_the_newest_password() -> None:
    seen: dict[str, str] = {}

    def program() -> None:
        made = redis.Redis("redis", redis_spec(generation=2), ServerArgs(**runtime()))
        made.connections["auth"].password.apply(lambda value: seen.setdefault("auth", value))

    declare(program)
    assert seen == {"auth": "secret-of-redis-auth.2-password"}


def test_a_rotated_login_of_postgresql_is_made_anew_and_another_stays() -> None:
    def keepers(generation: int) -> dict[str, Any]:
        seen = declare(
            lambda: postgres.Postgres("postgres", postgres_spec(generation=generation), ServerArgs(**runtime()))
        )
        return {r.name: r.inputs.get("keepers") for r in seen.of(SECRET)}

    before, after = keepers(0), keepers(1)
    assert set(before.values()) == {None}
    assert {name for name in after if after[name]} == {
        f"postgres-{n}-password" for n in ("vault", "migrator", "pooler", "kong")
    }


def test_a_cache_keeps_nothing_and_has_no_volume() -> None:
    store, cache = (redis.workload(redis_spec(purpose=purpose)).contract for purpose in ("store", "cache"))
    assert store.data == "/data" and cache.data is None
    assert "/data" in cache.tmpfs
    text = redis.configuration(redis_spec(purpose="cache"))
    assert "appendonly no" in text and "maxmemory-policy allkeys-lru" in text
    text = redis.configuration(redis_spec())
    assert "appendonly yes" in text and "maxmemory-policy volatile-ttl" in text


def test_rabbitmqs_definitions_hold_a_salted_digest_of_the_one_password(platform: Recorder) -> None:
    text = files(platform, "rabbitmq")["definitions.json"]
    assert "secret-of-" not in text
    (user,) = json.loads(text)["users"]
    raw = base64.b64decode(user["password_hash"])
    password = b"secret-of-rabbitmq-vault-password"
    assert raw[4:] == hashlib.sha256(raw[:4] + password).digest()
    assert (user["name"], user["tags"]) == ("vault", ["administrator"])


def test_each_consumer_has_a_queue_its_dead_letters_and_limits() -> None:
    made = json.loads(rabbitmq.definitions(rabbitmq_spec("users", "audit").consumers, "x"))
    assert [queue["name"] for queue in made["queues"]] == ["audit", "audit.dead", "users", "users.dead"]
    assert {queue["arguments"]["x-queue-type"] for queue in made["queues"]} == {"quorum"}
    bound = {(b["source"], b["destination"], b["routing_key"]) for b in made["bindings"]}
    assert {("events", "users", "items.created"), ("events.dead", "users.dead", "users")} <= bound
    policies = {policy["name"]: policy["definition"] for policy in made["policies"]}
    assert policies["users"]["delivery-limit"] == 5
    assert policies["users"]["overflow"] == "reject-publish"
    assert policies["users"]["dead-letter-routing-key"] == "users"
    assert policies["users.dead"]["overflow"] == "drop-head"


def test_another_queue_changes_a_file_that_is_read_while_rabbitmq_runs() -> None:
    def container(*names: str) -> dict[str, Any]:
        seen = declare(lambda: rabbitmq.Rabbitmq("rabbitmq", rabbitmq_spec(*names), ServerArgs(**runtime())))
        return seen.one("rabbitmq-server").inputs

    assert container("users") == container("users", "audit")
    assert rabbitmq.workload(rabbitmq_spec()).live == ("definitions.json",)


def test_rabbitmqs_memory_follows_its_limit() -> None:
    text = rabbitmq.configuration(rabbitmq_spec(memory_mib=400))
    assert "vm_memory_high_watermark.absolute = 240MiB" in text
    assert f"raft.wal_max_size_bytes = {40 << 20}" in text
    assert "total_memory_available_override_value = 400MiB" in text


@pytest.mark.parametrize(
    "make",
    [
        lambda: Database(name='x"; DROP', owner="x"),
        lambda: redis.User(name="auth", prefix="*"),
        lambda: redis.User(name="auth >password"),
        lambda: rabbitmq.Consumer(name="users", topics=()),
        lambda: rabbitmq_spec(memory_mib=64),
        lambda: migrations.MigrationsSpec(stack="dev", contract=images.contract("service"), targets=()),
    ],
)
def test_a_wrong_spec_is_refused_before_any_resource_is_declared(make: Any) -> None:
    with pytest.raises(ValidationError):
        make()


def test_the_script_is_a_secret_output() -> None:
    def program() -> None:
        known = pulumi.Output.from_input(dict.fromkeys((*postgres.LOGINS, "kong"), "x"))
        marked = postgres.provision((USERS, KONG), known).is_secret()
        pulumi.Output.from_input(marked).apply(found.append)

    found: list[bool] = []
    declare(program)
    assert found == [True]


@pytest.mark.parametrize(
    ("cpus", "text"), [(1, "1.0"), (0.5, "0.5"), (0.25, "0.25"), (2, "2.0"), (1.5, "1.5"), (10, "10.")]
)
def test_a_limit_of_cpus_is_written_as_the_plugin_reads_it_back(cpus: float, text: str) -> None:
    seen = declare(lambda: redis.Redis("redis", redis_spec(cpus=cpus), ServerArgs(**runtime())))
    assert seen.one("redis-server").inputs["cpus"] == text
