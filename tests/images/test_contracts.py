"""Every local image under its contract: user, no capabilities, read-only root, a fresh volume, secrets as files."""

from __future__ import annotations

import time

import httpx
import pytest

from infra import images
from tests.hanging import hang

pytestmark = pytest.mark.engine
PASSWORD = "correct-horse"
POSTGRES = {"POSTGRES_USER": "nexus", "POSTGRES_DB": "app"}
#: psql with the password from the secrets' file, over TCP, so that it counts.
PSQL = "psql -h $(hostname -i) -U nexus -d app -v ON_ERROR_STOP=1 -qtA"
SQL = f"PGPASSWORD=$(cat /run/secrets/password) exec {PSQL} -c '{{}}'"


def sql(under, container, statement):
    return under.ask(container, ["sh", "-c", SQL.format(statement)])


def test_every_image_that_runs_has_a_contract_and_no_contract_is_left_over():
    libraries = {"base", "python"}
    rows = images._contract_rows()
    assert set(images.load()) - libraries == {name for name, row in rows.items() if "image" not in row}
    assert {row["image"] for row in rows.values() if "image" in row} <= set(images.load())


@pytest.mark.parametrize("name", sorted(set(images.load()) & set(images._contract_rows())))
def test_an_image_says_of_itself_what_its_contract_says(name, image, engine):
    contract, config = images.contract(name), engine.images.get(image(name)).attrs["Config"]
    assert tuple(config["Entrypoint"] or ()) == contract.entrypoint
    assert set(config["Volumes"] or {}) == ({contract.data} if contract.data else set())
    assert {f"{port}/tcp" for port in contract.ports.values()} <= set(config.get("ExposedPorts") or {})
    assert (config.get("StopSignal") or "SIGTERM") == contract.stop_signal
    assert config["Labels"]["org.opencontainers.image.title"] == name
    assert config["Labels"]["nexus.stand-in"] == str(images.load()[name].stand_in).lower()


@pytest.mark.parametrize(
    "name",
    ["base", "python", "postgres", "pgbouncer", "redis", "rabbitmq", "consul", "vault", "service", "elasticsearch"],
)
def test_an_image_keeps_nothing_of_the_machine_it_was_built_on(name, image, engine):
    found = engine.images.get(image(name))
    history = " ".join(step["CreatedBy"] for step in found.history())
    assert "proxy" not in history
    assert "proxy" not in str(found.attrs["Config"]).lower()
    files = engine.containers.run(
        image(name),
        ["-c", "cat /etc/apt/sources.list /etc/apt/apt.conf.d/*; ls /var/lib/apt/lists /etc/apt/auth.conf.d"],
        entrypoint="sh",
        remove=True,
    ).decode()
    assert {line.split()[1].split("/")[2] for line in files.splitlines() if line.startswith("deb ")} == {
        "debian.invalid"
    }
    assert "Proxy" not in files
    assert "_Packages" not in files


def test_postgres_starts_on_an_empty_volume_and_is_healthy_only_when_it_takes_connections(under, image):
    server = under.run(
        "postgres",
        image("postgres"),
        ["-c", "shared_buffers=16MB"],
        env={**POSTGRES, "POSTGRES_INITDB_ARGS": "--data-checksums"},
        files={"password": PASSWORD},
    )
    under.answers(server, images.contract("postgres").health)
    assert sql(under, server, "SHOW shared_buffers") == (0, "16MB\n")
    assert sql(under, server, "SHOW data_checksums") == (0, "on\n")
    assert sql(under, server, "SHOW lc_collate") == (0, "C.UTF-8\n")
    # The just-in-time compiler is not in the image; a query that would use it runs all the same.
    assert sql(under, server, "SET jit_above_cost=0; SELECT sum(n) FROM generate_series(1,1000) n") == (0, "500500\n")


def test_postgres_keeps_its_data_over_a_restart_and_refuses_a_wrong_password(under, image):
    volume, files = under.volume(), {"password": PASSWORD}
    first = under.run("postgres", image("postgres"), env=POSTGRES, files=files, data=volume)
    under.answers(first, images.contract("postgres").health)
    assert sql(under, first, "CREATE TABLE kept AS SELECT 42 AS n")[0] == 0
    first.stop()
    assert "database system is shut down" in first.logs(tail=5).decode()

    second = under.run("postgres", image("postgres"), env=POSTGRES, files={"password": "another"}, data=volume)
    under.answers(second, images.contract("postgres").health)
    code, output = sql(under, second, "SELECT n FROM kept")
    assert code != 0
    assert "password authentication failed" in output
    code, output = under.ask(second, ["psql", "-U", "nexus", "-d", "app", "-tAc", "SELECT n FROM kept"])
    assert (code, output) == (0, "42\n")


def test_postgres_killed_while_it_makes_its_cluster_begins_anew(under, image):
    volume, files = under.volume(), {"password": PASSWORD}
    first = under.run("postgres", image("postgres"), env=POSTGRES, files=files, data=volume)
    end = time.monotonic() + 20
    while under.ask(first, ["test", "-e", "/var/lib/postgresql/data/.initialising/PG_VERSION"])[0] != 0:
        assert time.monotonic() < end
    first.kill()

    second = under.run("postgres", image("postgres"), env=POSTGRES, files=files, data=volume)
    under.answers(second, images.contract("postgres").health)
    assert sql(under, second, "SELECT 1") == (0, "1\n")


def test_postgres_without_a_password_says_what_is_missing(under, image):
    server = under.run("postgres", image("postgres"), env={"POSTGRES_PASSWORD_FILE": ""})
    assert server.wait(timeout=30)["StatusCode"] == 1
    assert "POSTGRES_PASSWORD_FILE" in server.logs().decode()


def test_postgres_runs_the_init_scripts_once(under, image, engine):
    script = "docker-entrypoint.sh postgres & until [ -e $PGDATA/PG_VERSION ]; do sleep .1; done; wait"
    assert images.contract("postgres").init == "/docker-entrypoint-initdb.d"
    server = engine.containers.create(
        image("postgres"),
        ["-c", script],
        entrypoint="sh",
        user="999:999",
        environment={"POSTGRES_PASSWORD": "x", "POSTGRES_DB": "app"},
        name=f"{under.key}-init",
    )
    under.containers.append(server)
    from tests.images.conftest import packed

    server.put_archive("/docker-entrypoint-initdb.d", packed({"a.sql": "CREATE TABLE a (n int)", "b.sh": "echo ran b"}))
    server.start()
    under.answers(server, ["psql", "-h", "127.0.0.1", "-U", "postgres", "-d", "app", "-c", "SELECT * FROM a"])
    server.restart()
    under.answers(server, ["pg_isready", "-h", "127.0.0.1"])
    assert server.logs().decode().count("ran b") == 1


REDIS = {
    "redis.conf": "dir /data\nappendonly yes\naclfile /run/secrets/users.acl\n",
    "users.acl": f"user default off\nuser health on nopass -@all +ping\nuser app on >{PASSWORD} ~* +@all\n",
}


def test_redis_reads_its_users_from_the_secrets_and_keeps_its_data(under, image):
    volume, contract = under.volume(), images.contract("redis")
    client = ["redis-cli", "--no-auth-warning", "--user", "app", "--pass", PASSWORD]
    first = under.run("redis", image("redis"), ["/run/secrets/redis.conf"], files=REDIS, data=volume)
    under.answers(first, contract.health)
    assert under.ask(first, [*client, "set", "kept", "42"]) == (0, "OK\n")
    assert "NOAUTH" in under.ask(first, ["redis-cli", "get", "kept"])[1]
    first.stop()

    second = under.run("redis", image("redis"), ["/run/secrets/redis.conf"], files=REDIS, data=volume)
    under.answers(second, contract.health)
    assert under.ask(second, [*client, "get", "kept"]) == (0, "42\n")


def test_redis_health_fails_when_the_server_refuses_the_user(under, image):
    refused = {**REDIS, "users.acl": "user default off\n"}
    server = under.run("redis", image("redis"), ["/run/secrets/redis.conf"], files=refused)
    time.sleep(1)
    assert under.ask(server, images.contract("redis").health)[0] == 1


def test_consul_is_healthy_once_it_leads_and_keeps_its_data(under, image):
    volume, contract = under.volume(), images.contract("consul")
    server = ["-server", "-bootstrap-expect=1", "-node=one", "-client=0.0.0.0", '-bind={{ GetInterfaceIP "eth0" }}']
    server.append("-hcl=performance { raft_multiplier = 1 }")  # or each election takes five seconds more
    first = under.run("consul", image("consul"), server, data=volume)
    under.answers(first, contract.health)
    assert under.ask(first, ["consul", "kv", "put", "kept", "42"])[0] == 0
    first.stop()
    second = under.run("consul", image("consul"), server, data=volume)
    under.answers(second, contract.health)
    assert under.ask(second, ["consul", "kv", "get", "kept"]) == (0, "42\n")


def test_consul_takes_its_address_from_an_interface_and_its_configuration_from_a_variable(under, image):
    server = under.run(
        "consul",
        image("consul"),
        ["-dev"],
        env={"CONSUL_BIND_INTERFACE": "eth0", "CONSUL_CLIENT_INTERFACE": "eth0", "CONSUL_CONFIG_DIR": "/tmp",
             "CONSUL_LOCAL_CONFIG": '{"node_name": "told"}'},
    )  # fmt: skip
    ask = "consul members -http-addr=$(hostname -i):8500 | grep -q ^told"
    under.answers(server, ["sh", "-c", ask])


def test_vault_is_healthy_only_once_it_is_unsealed(under, image):
    contract = images.contract("vault")
    config = '{"storage": {"inmem": {}}, "listener": {"tcp": {"address": "0.0.0.0:8200", "tls_disable": true}}, '
    config += '"disable_mlock": true}'
    server = under.run("vault", image("vault"), ["-config=/run/secrets/vault.json"], files={"vault.json": config})
    init = "vault operator init -key-shares=1 -key-threshold=1 -format=json > /tmp/init"
    under.answers(server, ["sh", "-c", init])
    assert under.ask(server, contract.health)[0] != 0, "it is sealed"
    under.answers(server, contract.alive)  # and does what it can
    key = """sed -n '/unseal_keys_b64/{n;s/[ ",]//g;p;}' /tmp/init"""
    unseal = f"""printf '{{"key":"%s"}}' "$({key})" | vault write sys/unseal -"""
    assert under.ask(server, ["sh", "-c", unseal])[0] == 0
    under.answers(server, contract.health)


def test_the_reference_service_answers_under_its_contract(under, image):
    health = images.contract("service").health
    server = under.run("service", image("service"), env={"NEXUS_SERVICE": "backend", "NEXUS_STACK": "test"})
    under.answers(server, [*health, "/health"])
    assert under.ask(server, ["id", "-u"]) == (0, "10001\n")
    assert under.ask(server, ["touch", "/opt/app/x"])[0] == 1


def test_kong_makes_its_schema_and_is_healthy_with_the_password_from_its_file(under, image):
    contract, files = images.contract("kong"), {"password": PASSWORD}
    database = under.run("postgres", image("postgres"), env=POSTGRES, files=files)
    under.answers(database, images.contract("postgres").health)
    env = {
        "KONG_DATABASE": "postgres",
        "KONG_PG_HOST": "postgres",
        "KONG_PG_USER": "nexus",
        "KONG_PG_DATABASE": "app",
        "KONG_PG_PASSWORD_FILE": contract.secret("password"),
        "KONG_ADMIN_LISTEN": "0.0.0.0:8001",
        "KONG_PROXY_LISTEN": "0.0.0.0:8000, 0.0.0.0:8443 ssl",
    }
    assert set(env) <= set(contract.accepts)
    start = "/docker-entrypoint.sh kong migrations bootstrap && exec /docker-entrypoint.sh kong docker-start"
    gateway = under.run(
        "kong", image("kong"), command=["sh", "-c", start], env=env, files=files, ports={"8001/tcp": ("127.0.0.1", 0)}
    )
    under.answers(gateway, contract.health)
    assert under.ask(gateway, contract.alive)[0] == 0
    gateway.reload()
    assert PASSWORD not in str(gateway.attrs)
    address = f"http://127.0.0.1:{gateway.ports['8001/tcp'][0]['HostPort']}"
    assert httpx.get(address).json()["version"] == images.load()["kong"].version
    assert httpx.post(f"{address}/services", json={"name": "kept", "url": "http://there.example"}).status_code == 201
    gateway.restart()
    under.answers(gateway, contract.health)
    gateway.reload()
    address = f"http://127.0.0.1:{gateway.ports['8001/tcp'][0]['HostPort']}"
    assert httpx.get(f"{address}/services/kept").status_code == 200
    database.pause()
    assert under.ask(gateway, contract.alive)[0] == 0, "nobody restarts it for what the database lacks"
    database.unpause()
    hang(gateway)
    assert under.ask(gateway, contract.alive)[0] != 0


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("redis", ("redis-server", "--port", "1234")),
        ("consul", ("consul", "version")),
        ("vault", ("vault", "version")),
        ("postgres", ("postgres", "-V")),
    ],
)
def test_an_image_starts_as_any_user(name, command, under, image):
    container = under.run(name, image(name), command=command, user="12345:12345")
    if name == "redis":
        time.sleep(1)
        container.reload()
        assert container.status == "running", container.logs().decode()
    else:
        assert container.wait(timeout=30)["StatusCode"] == 0, container.logs().decode()
