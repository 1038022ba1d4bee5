"""Every policy, on a resource that keeps it and on ones that do not."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from policy import rules
from policy.model import UNKNOWN, Resource, Rule, Secret
from policy.workload import CONTAINER, SERVICE

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "policy.md"
DIGEST = "sha256:" + "a" * 64
RULES = {rule.name: rule for rule in rules.ALL}
GOOD_CONTAINER: dict[str, Any] = {
    "name": "nexus-prod-kong",
    "image": DIGEST,
    "labels": [{"label": "nexus.stack", "value": "prod"}, {"label": "nexus.service", "value": "kong"}],
    "ports": [
        {"internal": 8443, "external": 4300, "ip": "0.0.0.0"},
        {"internal": 8001, "external": 3100, "ip": "127.0.0.1"},
    ],
    "memory": 384,
    "memorySwap": 384,
    "cpus": "1.0",
    "healthcheck": {"tests": ["CMD", "kong", "health"]},
    "readOnly": True,
    "capabilities": {"drops": ["ALL"]},
    "securityOpts": ["no-new-privileges"],
    "user": "1001:1001",
    "networkMode": "bridge",
    "volumes": [{"volumeName": "nexus-prod-kong-files", "containerPath": "/run/secrets"}],
    "envs": ["KONG_PG_PASSWORD_FILE=/run/secrets/postgres-password", "KONG_PG_HOST=postgres"],
}
GOOD_SERVICE: dict[str, Any] = {
    "name": "nexus-prod-kong",
    "labels": GOOD_CONTAINER["labels"],
    "endpointSpec": {"ports": [{"targetPort": 8443, "publishedPort": 24300, "publishMode": "host"}]},
    "taskSpec": {
        "containerSpec": {
            "image": f"kong:3.9.1@{DIGEST}",
            "env": {"KONG_PG_PASSWORD_FILE": "/run/secrets/postgres-password"},
            "healthcheck": {"tests": ["CMD", "kong", "health"]},
            "readOnly": True,
            "capDrops": ["ALL"],
            "user": "1001:1001",
            "mounts": [
                {"type": "tmpfs", "target": "/tmp"},
                {
                    "type": "volume",
                    "target": "/usr/local/kong",
                    "volumeOptions": {"driverOptions": {"type": "tmpfs", "device": "tmpfs"}},
                },
            ],
        },
        "resources": {"limits": {"memoryBytes": 384 * 2**20, "nanoCpus": 10**9}},
        "networksAdvanceds": [{"id": "qqp5l3it45sf"}],
    },
}


def resource(type_: str, properties: dict[str, Any], name: str = "one", stack: str = "prod", **more: Any) -> Resource:
    urn = f"urn:pulumi:{stack}::nexus::{type_}::{name}"
    return Resource(urn=urn, type=type_, properties=properties, **more)


def changed(good: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at ``a.b``; None takes the key away."""
    made = copy.deepcopy(good)
    *folders, last = path.split(".")
    inside = made
    for folder in folders:
        inside = inside[folder]
    inside.pop(last, None)
    if value is not None:
        inside[last] = value
    return made


def found(rule: Rule | str, *resources: Resource) -> list[str]:
    one = RULES[rule] if isinstance(rule, str) else rule
    return [v.message for each in resources for v in one.of(each)] + [v.message for v in one.of_all(resources)]


CONTAINER_RULES = [rule for rule in rules.ALL if CONTAINER in rule.types]


@pytest.mark.parametrize("rule", CONTAINER_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize(("type_", "good"), [(CONTAINER, GOOD_CONTAINER), (SERVICE, GOOD_SERVICE)])
def test_a_container_and_a_service_as_the_platform_makes_them_keep_every_policy(
    rule: Rule, type_: str, good: dict[str, Any]
) -> None:
    assert found(rule, resource(type_, good)) == []


@pytest.mark.parametrize(
    ("rule", "path", "value", "said"),
    [
        ("private-ports", "ports", [{"internal": 8001, "external": 3100, "ip": "0.0.0.0"}], "port 3100"),
        ("private-ports", "ports", [{"internal": 8001, "external": 3100}], "open on all addresses"),
        ("private-ports", "ports", [{"internal": 5432, "external": 1100, "ip": "10.0.0.4"}], "10.0.0.4"),
        ("image-by-digest", "image", "library/kong:3.9.1", "library/kong:3.9.1 is named by a tag"),
        ("health-check", "healthcheck", None, "no health check"),
        ("health-check", "healthcheck", {"tests": ["NONE"]}, "no health check"),
        ("limits", "memory", None, "no limit of memory"),
        ("limits", "memorySwap", -1, "swap"),
        ("limits", "cpus", None, "no limit of CPUs"),
        ("no-privileges", "privileged", True, "is privileged"),
        ("no-privileges", "networkMode", "host", "network of host"),
        ("no-privileges", "pidMode", "host", "pid of host"),
        ("no-privileges", "networkMode", "container:abc", "network of container:abc"),
        ("no-privileges", "devices", [{"hostPath": "/dev/kmsg"}], "/dev/kmsg"),
        ("no-privileges", "capabilities", {"drops": ["ALL"], "adds": ["SYS_ADMIN"]}, "SYS_ADMIN"),
        ("no-host-mounts", "volumes", [{"hostPath": "/var/run/docker.sock"}], "docker.sock"),
        ("no-host-mounts", "mounts", [{"type": "bind", "source": "/etc", "target": "/host"}], "/etc"),
        ("hardened", "capabilities", {"drops": ["NET_RAW"]}, "drop ALL"),
        ("hardened", "readOnly", False, "read-only"),
        ("hardened", "securityOpts", None, "no-new-privileges"),
        ("hardened", "securityOpts", ["no-new-privileges:false"], "no-new-privileges"),
        ("hardened", "user", "0:0", "runs as root"),
        ("hardened", "user", None, "runs as root"),
        ("no-secret-in-environment", "envs", ["POSTGRES_PASSWORD=hunter2"], "POSTGRES_PASSWORD looks like"),
        ("no-secret-in-environment", "envs", ["DATABASE_URL=postgresql://a:b@postgres/nexus"], "a password in it"),
        ("no-secret-in-environment", "envs", [Secret("PLAIN=value")], "PLAIN is a secret"),
    ],
)
def test_a_container_that_breaks_a_policy_is_found(rule: str, path: str, value: Any, said: str) -> None:
    (message,) = found(rule, resource(CONTAINER, changed(GOOD_CONTAINER, path, value)))
    assert said in message


SPEC, LIMITS = "taskSpec.containerSpec", "taskSpec.resources.limits"


@pytest.mark.parametrize(
    ("rule", "path", "value", "said"),
    [
        ("private-ports", "endpointSpec.ports", [{"targetPort": 8001, "publishedPort": 3100}], "open on all addresses"),
        ("image-by-digest", f"{SPEC}.image", "kong:3.9.1", "kong:3.9.1"),
        ("health-check", f"{SPEC}.healthcheck", None, "no health check"),
        ("limits", f"{LIMITS}.memoryBytes", 0, "no limit of memory"),
        ("limits", f"{LIMITS}.nanoCpus", 0, "no limit of CPUs"),
        ("no-privileges", f"{SPEC}.capAdds", ["NET_ADMIN"], "NET_ADMIN"),
        ("no-privileges", "taskSpec.networksAdvanceds", [{"id": "host"}], "network of host"),
        ("no-host-mounts", f"{SPEC}.mounts", [{"type": "bind", "source": "/", "target": "/host"}], "mounts /"),
        (
            "no-host-mounts",
            f"{SPEC}.mounts",
            [{"type": "volume", "target": "/x", "volumeOptions": {"driverOptions": {"device": "/etc"}}}],
            "mounts /etc",
        ),
        ("hardened", f"{SPEC}.capDrops", None, "drop ALL"),
        ("hardened", f"{SPEC}.readOnly", None, "read-only"),
        ("hardened", f"{SPEC}.user", "root", "runs as root"),
        ("no-secret-in-environment", f"{SPEC}.env", {"API_KEY": "abc"}, "API_KEY"),
        ("no-secret-in-environment", f"{SPEC}.env", {"X": Secret("abc")}, "X is a secret"),
    ],
)
def test_a_service_of_a_swarm_that_breaks_a_policy_is_found(rule: str, path: str, value: Any, said: str) -> None:
    (message,) = found(rule, resource(SERVICE, changed(GOOD_SERVICE, path, value)))
    assert said in message


def test_the_healer_alone_has_the_engines_socket_and_is_root() -> None:
    healer = changed(GOOD_CONTAINER, "labels", [{"label": "nexus.service", "value": "healer"}])
    healer |= {"user": "0:0", "ports": [], "volumes": [{"hostPath": "/var/run/docker.sock"}]}
    assert found("no-host-mounts", resource(CONTAINER, healer)) == found("hardened", resource(CONTAINER, healer)) == []
    healer["volumes"] = [{"hostPath": "/"}]
    assert found("no-host-mounts", resource(CONTAINER, healer)) == ["mounts / of the host"]


def test_what_is_not_known_yet_is_not_judged() -> None:
    unknown = GOOD_CONTAINER | {"image": UNKNOWN, "envs": [UNKNOWN], "user": UNKNOWN}
    assert [message for rule in CONTAINER_RULES for message in found(rule, resource(CONTAINER, unknown))] == []


@pytest.mark.parametrize("name", [f"library/redis@{DIGEST}", "nexus/redis:7.0-0123456789ab", "mirror:5000/r@" + DIGEST])
def test_a_pulled_image_with_a_digest_or_built_from_a_recipe_keeps_the_policy(name: str) -> None:
    assert found("image-by-digest", resource("docker:index/remoteImage:RemoteImage", {"name": name})) == []


@pytest.mark.parametrize(
    "name", ["library/redis:7.0.15", "redis", "nexus/redis:7.0-latest", "evil/nexus/a:1-0123456789ab"]
)
def test_a_pulled_image_by_tag_alone_is_found_in_production_only(name: str) -> None:
    image = {"name": name}
    assert found("image-by-digest", resource("docker:index/remoteImage:RemoteImage", image))
    assert not found("image-by-digest", resource("docker:index/remoteImage:RemoteImage", image, stack="dev"))


@pytest.mark.parametrize(
    ("stack", "production"), [("prod", True), ("prod-eu", True), ("eu-prod", True), ("dev", False)]
)
def test_data_is_protected_in_production(stack: str, production: bool) -> None:
    volume = "docker:index/volume:Volume"
    assert found("protected-data", resource(volume, {"name": "a"}, stack=stack, protect=True)) == []
    assert bool(found("protected-data", resource(volume, {"name": "a"}, stack=stack))) == production


def test_each_container_has_a_gate_that_limits_its_processes() -> None:
    server = resource(CONTAINER, {"name": "nexus-prod-kong"}, "kong-server")
    gate = resource("nexus:index:Exec", {"container": "nexus-prod-kong", "pids": 64}, "kong-ready")
    without = resource("nexus:index:Exec", {"container": "nexus-prod-kong"}, "kong-ready")
    assert found("process-limit", server, gate) == []
    assert len(found("process-limit", server, without)) == len(found("process-limit", server)) == 1


SERVICE_URN = "urn:pulumi:prod::nexus::kong:index/service:Service::users"


def route(*paths: str, name: str = "users-0", auth: str = "user") -> Resource:
    properties = {"paths": list(paths), "tags": ["prod", f"auth:{auth}"]}
    return resource("kong:index/route:Route", properties, name, dependencies={"serviceId": (SERVICE_URN,)})


def plugin(kind: str, name: str, enabled: bool = True, **of: str) -> Resource:
    properties = {"name": kind, "enabled": enabled, **dict.fromkeys(of, "some-id")}
    dependencies = {key: (urn,) for key, urn in of.items()}
    return resource("kong:index/plugin:Plugin", properties, name, dependencies=dependencies)


JWT = plugin("jwt", "gateway-jwt")


@pytest.mark.parametrize(
    "resources",
    [
        (JWT, route("/api/v1/users"), plugin("acl", "a", serviceId=SERVICE_URN)),
        (JWT, route("/api/v1/users"), plugin("acl", "a", routeId=route().urn)),
        (JWT, route("/docs"), route("/api/v1/auth", name="auth-0")),
        (),
        (
            resource("kong:index/plugin:Plugin", {"name": "jwt", "routeId": UNKNOWN, "serviceId": UNKNOWN}),
            route("/docs"),
        ),
    ],
    ids=["of the service", "of the route", "listed", "no routes", "ids that are not known yet"],
)
def test_a_route_that_asks_for_a_role_or_is_listed_keeps_the_policy(resources: tuple[Resource, ...]) -> None:
    assert found("route-auth", *resources) == []


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ((JWT, route("/api/v1/users", auth="public")), "/api/v1/users is open to everybody"),
        ((JWT, route("/docs", "/api/v1/users", auth="public")), "/docs, /api/v1/users is open to everybody"),
        ((JWT, route(auth="public")), "every path is open to everybody"),
        ((JWT, route("/x")), "/x says user, and no plugin asks"),
        ((JWT, route("/x"), plugin("acl", "a", enabled=False, serviceId=SERVICE_URN)), "no plugin asks"),
        ((JWT, route("/x"), plugin("rate-limiting", "a", serviceId=SERVICE_URN)), "no plugin asks"),
        ((JWT, route("/x"), plugin("acl", "a", routeId="urn:pulumi:prod::nexus::t::other")), "no plugin asks"),
        ((route("/docs"), plugin("jwt", "j", routeId=route().urn)), "no plugin of the whole gateway"),
    ],
)
def test_an_open_route_is_found_in_production_only(resources: tuple[Resource, ...], said: str) -> None:
    (message,) = found("route-auth", *resources)
    assert said in message
    moved = [
        Resource(urn=each.urn.replace(":prod::", ":dev::"), type=each.type, properties=each.properties)
        for each in resources
    ]
    assert found("route-auth", *moved) == []


def test_a_route_that_says_no_role_is_found_before_it_is_made() -> None:
    rule = RULES["route-auth"]
    silent = resource("kong:index/route:Route", {"paths": ["/x"]})
    assert [violation.message for violation in rule.of(silent)] == ["/x is open to everybody"]
    assert list(rule.of(route("/x"))) == list(rule.of(route("/docs", auth="public"))) == []


@pytest.mark.parametrize(
    ("type_", "good", "bad", "said"),
    [
        ("nexus:index:Files", {"files": {"a": Secret("x")}}, {"files": {"a": Secret("x"), "b": "y"}}, "files.b"),
        ("docker:index/secret:Secret", {"data": Secret("eA==")}, {"data": "eA=="}, "data"),
        ("vault:kv/secretV2:SecretV2", {"dataJson": Secret("{}")}, {"dataJson": '{"a": 1}'}, "dataJson"),
        (
            "vault:database/secretBackendConnection:SecretBackendConnection",
            {"postgresql": {"password": Secret("x")}},
            {"postgresql": {"password": "x"}},
            "postgresql.password",
        ),
        ("pulumi:providers:kong", {"kongAdminPassword": Secret("x")}, {"kongAdminPassword": "x"}, "kongAdminPassword"),
        (
            "kong:index/plugin:Plugin",
            {"configJson": Secret('{"redis": {"password": "x"}}')},
            {"configJson": '{"policy": "redis", "redis": {"password": "x"}}'},
            "configJson has password",
        ),
        (
            "kong:index/plugin:Plugin",
            {"configJson": '{"key_claim_name": "gw"}'},
            {"configJson": '{"a": [{"token": "t"}]}'},
            "token",
        ),
    ],
)
def test_a_secret_that_is_not_marked_as_one_is_found(
    type_: str, good: dict[str, Any], bad: dict[str, Any], said: str
) -> None:
    assert found("secrets-encrypted", resource(type_, good)) == []
    (message,) = found("secrets-encrypted", resource(type_, bad))
    assert said in message and "x" not in message.split()


def test_a_secret_that_is_not_known_yet_or_not_there_is_no_violation() -> None:
    assert found("secrets-encrypted", resource("nexus:index:Files", {"files": {"a": UNKNOWN}})) == []
    assert found("secrets-encrypted", resource("nexus:index:Files", {"files": UNKNOWN})) == []
    assert found("secrets-encrypted", resource("pulumi:providers:consul", {"address": "a"})) == []


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.name)
def test_every_policy_says_what_it_is_and_which_file_to_edit(rule: Rule) -> None:
    assert rule.description.endswith(".") and rule.remedy.endswith(".")
    assert any(word in rule.remedy for word in (".yaml", ".py", "component"))
    assert bool(rule.types) == bool(rule.check) and bool(rule.stack_types) == bool(rule.check_stack)
    assert rule.check or rule.check_stack


def test_every_policy_is_in_the_document_with_its_scope() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (all stacks|production) \|", DOCUMENT.read_text(), re.MULTILINE))
    scopes = {"everywhere": "all stacks", "production": "production"}
    assert rows == {rule.name: scopes[rule.scope] for rule in rules.ALL}
