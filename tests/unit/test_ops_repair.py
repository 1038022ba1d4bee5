"""What is made good after a kill: decided on sample states, removed from real servers' doubles."""

import contextlib
import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from ops import credentials, down, halfmade, repair, up, update
from ops.errors import BAD_INPUT, Failure
from ops.objects import CONTAINER, NETWORK, VOLUME, Object
from ops.workspace import Workspace

URN = "urn:pulumi:dev::nexus::"
CONTAINER_TYPE, NETWORK_TYPE = "docker:index/container:Container", "docker:index/network:Network"


def resource(token, name, identity="", **more):
    return {"urn": f"{URN}{token}::{name}", "type": token, "id": identity, "custom": bool(identity), **more}


def state(*resources, pending=()):
    return {"version": 3, "deployment": {"resources": list(resources), "pending_operations": list(pending)}}


def creating(token, resource_name, provider="", /, **inputs):
    return {"type": "creating", "resource": {**resource(token, resource_name), "inputs": inputs, "provider": provider}}


class Engine:
    """The part of the engine's client that repairing uses, on a list of objects."""

    def __init__(self, *found):
        self.found, self.removed, self.api = list(found), [], self

    def containers(self, all, filters):
        assert all
        wanted = filters["name"].strip("^/$")
        return [{"Id": item.id} for item in self.found if item.kind == CONTAINER and item.name == wanted]

    def networks(self, names):
        return [
            {"Id": item.id, "Name": item.name} for item in self.found if item.kind == NETWORK and names[0] in item.name
        ]

    def inspect_network(self, identity):
        return {"Containers": {}}

    def remove_container(self, identity, force):
        assert force
        self.removed.append(identity)

    def remove_network(self, identity):
        self.removed.append(identity)


def test_a_half_made_container_is_removed_by_its_name():
    engine = Engine(Object(CONTAINER, "c1", "nexus-dev-redis", "redis"))
    found = state(pending=[creating(CONTAINER_TYPE, "redis-server", name="nexus-dev-redis")])
    (operation,) = halfmade.pending(found)
    said = []
    halfmade.clean(operation, found, engine, said.append)
    assert engine.removed == ["c1"]
    assert said == ["removed a half-made container: nexus-dev-redis"]


def test_a_container_that_the_state_has_is_not_touched():
    engine = Engine(Object(CONTAINER, "c1", "nexus-dev-redis", "redis"))
    found = state(
        resource(CONTAINER_TYPE, "redis-old", "c1"),
        pending=[creating(CONTAINER_TYPE, "redis-server", name="nexus-dev-redis")],
    )
    halfmade.clean(halfmade.pending(found)[0], found, engine, pytest.fail)
    assert engine.removed == []


def test_of_networks_with_one_name_all_that_the_state_does_not_have_are_removed():
    networks = [Object(NETWORK, identity, "nexus-dev", "") for identity in ("n1", "n2", "n3")]
    engine = Engine(*networks, Object(NETWORK, "n4", "nexus-dev-2", ""))
    found = state(
        resource(NETWORK_TYPE, "network", "n2"), pending=[creating(NETWORK_TYPE, "network", name="nexus-dev")]
    )
    halfmade.clean(halfmade.pending(found)[0], found, engine, lambda _: None)
    assert engine.removed == ["n1", "n3"]


@pytest.mark.parametrize("operation", ["updating", "deleting", "reading"])
def test_only_unfinished_creations_may_have_made_something_unknown(operation):
    engine = Engine(Object(CONTAINER, "c1", "nexus-dev-redis", "redis"))
    pending = {**creating(CONTAINER_TYPE, "redis-server", name="nexus-dev-redis"), "type": operation}
    found = state(pending=[pending])
    halfmade.clean(halfmade.pending(found)[0], found, engine, pytest.fail)
    assert engine.removed == []


@pytest.mark.parametrize(
    "token", ["docker:index/volume:Volume", "nexus:index:GeneratedSecret", "consul:index/node:Node"]
)
def test_what_can_be_made_again_is_left_alone(token):
    found = state(pending=[creating(token, "x", name="nexus-dev-postgres-data")])
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), pytest.fail)


OBJECTS = {
    "/consumers/c1/acls": {"data": [{"id": "a1", "group": "user"}, {"id": "a2", "group": "admin"}]},
    "/consumers/c1/key-auth": {"data": [{"id": "k1", "key": "of-another"}, {"id": "k2", "key": "api-key"}]},
    "/v1/acl/policy/name/service-api": {"ID": "p-1", "Name": "service-api"},
    "/services/api": {"id": "s1", "name": "api"},
    "/routes/r%2F1": {"id": "r1", "name": "r/1"},
    "/upstreams/u1/targets": {"data": [{"id": "t1", "target": "a:1"}, {"id": "t2", "target": "b:2"}]},
    "/plugins?size=1000": {
        "data": [
            {"id": "p1", "name": "cors", "service": {"id": "s1"}, "route": None, "consumer": None},
            {"id": "p2", "name": "cors", "service": None, "route": None, "consumer": None},
            {"id": "p3", "name": "jwt", "service": {"id": "s1"}, "route": None, "consumer": None},
        ]
    },
}


class Paths:
    """The paths of what was asked, as a list is compared."""

    def __init__(self, asked):
        self.asked = asked

    def __eq__(self, other):
        return [path for path, _ in self.asked] == other

    __hash__ = None


@pytest.fixture
def gateway(server):
    uri, asked = server
    return uri, Paths(asked)


@pytest.fixture
def server():
    """Kong, Vault and Consul at once; what was asked of it beside questions, each with its headers."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(OBJECTS.get(self.path, {})).encode()
            self.send_response(200 if self.path in OBJECTS else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_DELETE(self):
            asked.append((self.path, self.headers))
            self.send_response(204)
            self.end_headers()

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((f"{self.path} {json.loads(body)}", self.headers))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", asked
        httpd.shutdown()


PROVIDER = "pulumi:providers:kong"


@pytest.mark.parametrize(
    ("token", "inputs", "path"),
    [
        ("kong:index/service:Service", {"name": "api"}, "/services/api"),
        ("kong:index/route:Route", {"name": "r/1"}, "/routes/r%2F1"),
        ("kong:index/target:Target", {"upstreamId": "u1", "target": "b:2"}, "/upstreams/u1/targets/t2"),
        ("kong:index/plugin:Plugin", {"name": "cors", "serviceId": "s1"}, "/plugins/p1"),
        ("kong:index/plugin:Plugin", {"name": "cors"}, "/plugins/p2"),
        ("kong:index/consumerAcl:ConsumerAcl", {"consumerId": "c1", "group": "admin"}, "/consumers/c1/acls/a2"),
        (
            "kong:index/consumerKeyAuth:ConsumerKeyAuth",
            {"consumerId": "c1", "key": "api-key"},
            "/consumers/c1/key-auth/k2",
        ),
    ],
)
def test_a_half_made_object_of_the_gateway_is_found_by_what_identifies_it(gateway, token, inputs, path):
    uri, deleted = gateway
    provider = resource(PROVIDER, "kong", "k", inputs={"kongAdminUri": uri})
    found = state(provider, pending=[creating(token, "x", f"{provider['urn']}::k", **inputs)])
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), lambda _: None)
    assert deleted == [path]


def test_an_object_of_the_gateway_that_the_state_has_or_that_is_not_there_is_not_deleted(gateway):
    uri, deleted = gateway
    provider = resource(PROVIDER, "kong", "k", inputs={"kongAdminUri": uri})
    for name, known in (("api", "s1"), ("nothing", "")):
        pending = creating("kong:index/service:Service", "x", f"{provider['urn']}::k", name=name)
        found = state(provider, resource("kong:index/service:Service", "y", known), pending=[pending])
        halfmade.clean(halfmade.pending(found)[0], found, Engine(), pytest.fail)
    assert deleted == []


def opened(value):
    return {credentials.MARK: credentials.SECRET, credentials.SHOWN: json.dumps(value)}


MOUNT, SECRET_ID = "vault:index/mount:Mount", "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId"
ENTRIES = [
    (MOUNT, {"path": "secret"}, "/v1/sys/mounts/secret"),
    ("vault:rabbitMq/secretBackend:SecretBackend", {"path": "rabbitmq"}, "/v1/sys/mounts/rabbitmq"),
    ("vault:consul/secretBackend:SecretBackend", {"path": "consul"}, "/v1/sys/mounts/consul"),
    ("vault:index/authBackend:AuthBackend", {"path": "approle"}, "/v1/sys/auth/approle"),
    ("vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert", {"backend": "pki"}, "/v1/pki/root"),
    (
        SECRET_ID,
        {"backend": "approle", "roleName": "api", "secretId": opened("s-1")},
        "/v1/auth/approle/role/api/secret-id/destroy {'secret_id': 's-1'}",
    ),
    ("consul:index/aclPolicy:AclPolicy", {"name": "service-api"}, "/v1/acl/policy/p-1"),
]


def inside(uri, token, inputs, *known):
    """A state in which the creation of an entry of Vault or Consul had begun."""
    package = token.partition(":")[0]
    provider = resource(
        f"pulumi:providers:{package}", package, "p", inputs={"address": uri, "token": opened(f"of-{package}")}
    )
    return state(provider, *known, pending=[creating(token, "x", f"{provider['urn']}::p", **inputs)])


@pytest.mark.parametrize(("token", "inputs", "path"), ENTRIES, ids=[token for token, _, _ in ENTRIES])
def test_a_half_made_entry_of_vault_or_consul_is_removed_with_the_stacks_own_token(server, token, inputs, path):
    uri, asked = server
    found, said = inside(uri, token, inputs), []
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), said.append)
    ((where, headers),) = asked
    header, word = ("X-Vault-Token", "of-vault") if token.startswith("vault") else ("X-Consul-Token", "of-consul")
    assert where == path and headers[header] == word
    assert len(said) == 1 and "s-1" not in said[0]


@pytest.mark.parametrize(("token", "inputs", "path"), ENTRIES, ids=[token for token, _, _ in ENTRIES])
def test_an_entry_that_the_state_has_is_left(server, token, inputs, path):
    uri, asked = server
    found = inside(uri, token, inputs, resource(token, "y", "p-1", inputs=inputs))
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), pytest.fail)
    assert asked == []


def test_another_engine_of_the_state_is_no_reason_to_leave_a_half_made_one(server):
    uri, asked = server
    found = inside(uri, MOUNT, {"path": "transit"}, resource(MOUNT, "y", "secret", inputs={"path": "secret"}))
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), lambda _: None)
    assert [path for path, _ in asked] == ["/v1/sys/mounts/transit"]


@pytest.mark.parametrize("token", ["vault:index/policy:Policy", "vault:kv/secretV2:SecretV2", "consul:index/node:Node"])
def test_what_a_server_takes_again_is_left_alone(server, token):
    uri, asked = server
    found = inside(uri, token, {"name": "x", "path": "x"})
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), pytest.fail)
    assert asked == []


def test_a_gateway_that_does_not_answer_is_said_and_does_not_stop_the_repair():
    provider = resource(PROVIDER, "kong", "k", inputs={"kongAdminUri": "http://127.0.0.1:1"})
    pending = creating("kong:index/service:Service", "x", f"{provider['urn']}::k", name="api")
    found, said = state(provider, pending=[pending]), []
    halfmade.clean(halfmade.pending(found)[0], found, Engine(), said.append)
    assert "could not be asked" in said[0]


def test_orphans_are_containers_before_networks_and_never_volumes():
    inventory = [Object(VOLUME, "v", "v", ""), Object(NETWORK, "n", "n", ""), Object(CONTAINER, "c", "c", ""),
                 Object(CONTAINER, "known", "k", "")]  # fmt: skip
    left = repair.unknown(inventory, state(resource(CONTAINER_TYPE, "k", "known")))
    assert [item.id for item in left] == ["c", "n"]


def test_an_environment_of_another_clone_is_refused_instead_of_removed():
    engine = Engine()
    with pytest.raises(Failure) as caught:
        repair.sweep([Object(CONTAINER, "c", "nexus-dev-redis", "redis")], state(), engine, pytest.fail)
    assert caught.value.code == BAD_INPUT
    assert "nexus-dev-redis" in caught.value.why
    assert engine.removed == []


def whole(*resources):
    return json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": {"resources": list(resources)}}})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / ".pulumi" / "stacks" / "nexus" / "dev.json"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("damage", ["", whole(resource(NETWORK_TYPE, "n", "n1"))[:-20], "null", "[]", "{}"])
def test_a_state_file_that_was_cut_off_is_restored_from_the_one_before(file, damage):
    file.write_text(damage)
    Path(f"{file}.bak").write_text(whole())
    Path(f"{file}.bak.attrs").write_text("{}")
    said = []
    assert repair.mend(file, said.append) is True
    assert file.read_text() == whole()
    assert Path(f"{file}.attrs").read_text() == "{}"
    assert Path(f"{file}.damaged").read_text() == damage
    assert "restored" in said[0]


def test_a_whole_state_file_is_left_as_it_is(file):
    file.write_text(whole())
    assert repair.mend(file, pytest.fail) is False
    assert repair.mend(file.with_name("absent.json"), pytest.fail) is False


@pytest.mark.parametrize("torn", ["", '{"user.cont'])
def test_attributes_that_were_cut_off_are_dropped_and_whole_ones_kept(file, torn):
    file.write_text(whole())
    Path(f"{file}.attrs").write_text(torn)
    Path(f"{file}.bak.attrs").write_text("{}")
    assert repair.mend(file, pytest.fail) is False
    assert sorted(path.name for path in file.parent.iterdir()) == ["dev.json", "dev.json.bak.attrs"]


def test_without_a_good_copy_it_says_where_backups_are(file):
    file.write_text("{")
    Path(f"{file}.bak").write_text("{")
    with pytest.raises(Failure) as caught:
        repair.mend(file, pytest.fail)
    assert "backups" in caught.value.remedy
    assert file.read_text() == "{"


def test_the_file_of_a_backend_reads_like_an_export(file):
    file.write_text(whole(resource(NETWORK_TYPE, "n", "n1")))
    root = file.parents[3]
    workspace = Workspace("dev", Path("/bin/false"), {"PULUMI_BACKEND_URL": root.as_uri()}, root)
    assert halfmade.known_ids(repair.read(workspace)) == {"n1"}


def test_dropping_unfinished_operations_keeps_everything_else():
    before = state(resource(NETWORK_TYPE, "n", "n1"), pending=[creating(CONTAINER_TYPE, "c", name="c")])
    after = repair.without_pending(before)
    assert after == {"version": 3, "deployment": {"resources": before["deployment"]["resources"]}}


def test_resources_inside_a_server_that_is_gone_are_forgotten_with_every_reference_to_them():
    route = resource("kong:index/route:Route", "r", "r1")
    container = resource(
        CONTAINER_TYPE, "c", "c1", dependencies=[route["urn"]],
        propertyDependencies={"image": [route["urn"]], "name": None}, deletedWith=route["urn"],
    )  # fmt: skip
    after = down.without(state(route, container), ("kong:",))
    (kept,) = after["deployment"]["resources"]
    assert kept["urn"] == container["urn"]
    assert kept["dependencies"] == [] and kept["propertyDependencies"] == {"image": [], "name": []}
    assert "deletedWith" not in kept


def test_nothing_changes_when_every_server_runs():
    found = state(resource("kong:index/route:Route", "r", "r1"))
    assert down.without(found, ())["deployment"]["resources"] == found["deployment"]["resources"]


def test_a_failed_restore_leaves_no_half_copied_file(file, monkeypatch):
    file.write_text("{")
    Path(f"{file}.bak").write_text(whole())
    monkeypatch.setattr(shutil, "copy2", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        repair.mend(file, lambda _: None)
    assert Path(f"{file}.bak").read_text() == whole()


class Running:
    """An engine in which containers with these names run."""

    def __init__(self, *names):
        self.api, self.names = self, names

    def containers(self, filters):
        assert filters == {"label": "nexus.stack=dev"}
        return [{"Id": f"id-{name}", "Names": [f"/{name}"]} for name in self.names]

    def services(self, filters):
        return []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["nexus-dev-kong", "nexus-dev-postgres", "nexus-dev-redis"], []),
        (["nexus-dev-kong", "nexus-dev-postgres"], ["nexus-dev-redis"]),
        (["nexus-dev-kong", "nexus-dev-redis"], ["nexus-dev-postgres"]),
        (["nexus-dev-postgres", "nexus-dev-redis"], ["nexus-dev-kong"]),
    ],
)
def test_servers_come_back_before_what_lives_in_them_is_looked_at(file, monkeypatch, names, expected):
    """Redis is known by its container; the gateway and its database only by the route that needs them."""
    redis = resource(CONTAINER_TYPE, "redis-server", "id-nexus-dev-redis", inputs={"name": "nexus-dev-redis"})
    file.write_text(whole(redis, resource("kong:index/route:Route", "r", "r1")))
    workspace = Workspace("dev", Path("/bin/false"), {"PULUMI_BACKEND_URL": file.parents[3].as_uri()}, file.parents[3])
    monkeypatch.setattr(repair.objects, "connect", lambda: contextlib.nullcontext(Running(*names)))
    assert repair.stopped(workspace) == expected


@pytest.mark.parametrize(
    ("gone", "rounds"),
    [
        ([], []),
        (["nexus-dev-users"], []),
        (["nexus-dev-kong"], ["refresh", "up"]),
        (["nexus-dev-postgres", "nexus-dev-users"], ["refresh", "up"]),
    ],
)
def test_only_servers_that_entries_live_in_are_brought_back_before_the_rest_is_compared(monkeypatch, gone, rounds):
    done = []
    monkeypatch.setattr(repair, "stopped", lambda workspace: gone)
    monkeypatch.setattr(update, "apply", lambda workspace, verb, arguments, timeout: done.append(verb))
    up.heal(SimpleNamespace(workspace=Workspace("dev", Path("/bin/false"), {})), [], 10)
    assert done == rounds
