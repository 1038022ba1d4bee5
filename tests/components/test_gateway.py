"""What is declared at the gateway: for all services alike, and for each."""

from __future__ import annotations

import json
from typing import Any, cast

import pulumi
import pytest
from pulumi.runtime import rpc
from pydantic import ValidationError

from components import _apis
from components._connections import Endpoint, PostgresConnection, RedisConnection
from components.gateway import Api, Gateway, GatewayArgs, GatewaySpec, included
from components.kong import KongSpec, plain_http, workload
from components.publication import Breaker, Publication, PublicationArgs, PublicationSpec, RateLimit, Route
from components.workload import Port
from infra import images
from tests.components import recorder as recording
from tests.components.recorder import Recorder, declare

ROLES = {"admin": ("operator",), "operator": ("user",), "user": ()}


def publish(counters: bool = False, hosts: tuple[str, ...] = (), **fields: Any) -> Recorder:
    """What is declared for one service `svc`."""

    def program() -> None:
        redis = RedisConnection(host="redis", port=6379, user="kong", password=pulumi.Output.secret("pw"))
        spec = PublicationSpec(stack="t", **{"routes": (Route(path="/svc"),), **fields})
        endpoint = Endpoint(name="svc", host="svc", port=8000, hosts=hosts)
        Publication("svc", spec, PublicationArgs(endpoint=endpoint, counters=redis if counters else None))

    return declare(program)


def gateway(**fields: Any) -> Recorder:
    """What is declared for all services."""
    args = GatewayArgs(keys={"ci": "its-value"})
    return declare(lambda: Gateway("gw", GatewaySpec(stack="t", roles=ROLES, **fields), args))


def kong(recorder: Recorder, kind: str) -> list[dict[str, Any]]:
    return [r.inputs for r in recorder.resources if r.type.startswith("kong:") and r.type.endswith(f":{kind}")]


def plugins(recorder: Recorder) -> dict[str, Any]:
    """The settings of each plugin by the resource's name."""
    found = recorder.of("kong:index/plugin:Plugin")
    return {r.name: json.loads(r.inputs["configJson"]) for r in found}


def test_a_service_costs_few_resources_at_the_gateway() -> None:
    made = publish(counters=True, routes=(Route(path="/svc", auth="user"),), rate_limit=RateLimit(minute=60))
    assert len([r for r in made.resources if r.type.startswith("kong:")]) == 6


def test_each_instance_is_a_target_and_the_first_keeps_its_name() -> None:
    made = publish(hosts=("svc", "svc-2"))
    targets = sorted(made.of("kong:index/target:Target"), key=lambda target: target.name)
    assert [(t.name, t.inputs["target"]) for t in targets] == [
        ("svc-target", "svc:8000"),
        ("svc-target-2", "svc-2:8000"),
    ]


def test_one_role_guards_the_service_and_several_guard_their_routes() -> None:
    one = publish(routes=(Route(path="/a", auth="user"), Route(path="/b", auth="user")))
    assert plugins(one) == {"svc-acl": {"allow": ["user"]}}
    assert kong(one, "Plugin")[0]["serviceId"] == "svc-gateway-id"
    mixed = publish(routes=(Route(path="/a", auth="public"), Route(path="/b", auth="admin")))
    assert plugins(mixed) == {"svc-acl-1": {"allow": ["admin"]}}
    assert kong(mixed, "Plugin")[0]["routeId"] == "svc-route-1-id"
    assert plugins(publish(routes=(Route(path="/a"),))) == {}


def test_requests_are_counted_in_redis_with_the_password_as_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = publish(counters=True, rate_limit=RateLimit(second=5, minute=60))
    settings = plugins(made)["svc-rate-limiting"]
    assert settings["redis"] == {"host": "redis", "port": 6379, "username": "kong", "password": "pw", "timeout": 200}
    wanted = {"second": 5, "minute": 60, "policy": "redis", "limit_by": "ip", "fault_tolerant": True}
    assert settings.items() >= wanted.items()
    assert plugins(publish(rate_limit=RateLimit(minute=60)))["svc-rate-limiting"]["policy"] == "local"
    monkeypatch.setattr(recording, "unwrapped", lambda value: value)
    (raw,) = publish(counters=True, rate_limit=RateLimit(minute=60)).of("kong:index/plugin:Plugin")
    assert raw.inputs["configJson"][rpc._special_sig_key] == rpc._special_secret_sig


def test_kept_answers_are_those_of_one_token() -> None:
    settings = plugins(publish(cache=30))["svc-proxy-cache"]
    assert (settings["cache_ttl"], "Authorization" in settings["vary_headers"]) == (30, True)
    assert settings["response_code"] == [200]


def test_time_limits_breaker_and_methods_come_from_the_spec() -> None:
    made = publish(
        timeout=7, connect_timeout=1, retries=4, breaker=Breaker(errors=9, timeouts=3), size_mib=64,
        routes=(Route(path="/a", methods=("GET",)),),
    )  # fmt: skip
    service, upstream, route = (kong(made, kind)[0] for kind in ("Service", "Upstream", "Route"))
    assert (service["connectTimeout"], service["readTimeout"], service["retries"]) == (1000, 7000, 4)
    passive = upstream["healthchecks"]["passive"]["unhealthy"]
    assert passive == {"httpStatuses": [500, 502, 503, 504], "httpFailures": 9, "tcpFailures": 3, "timeouts": 3}
    assert route["methods"] == ["GET", "OPTIONS"]
    assert plugins(made)["svc-request-size-limiting"] == {"allowed_payload_size": 64}


@pytest.mark.parametrize("fields", [{"rate_limit": {"minute": 0}}, {"routes": ()}, {"cache": -1}, {"colour": "red"}])
def test_a_wrong_publication_is_refused_before_anything_is_declared(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PublicationSpec.model_validate({"stack": "t", "routes": [{"path": "/a"}], **fields})


def test_a_roles_consumer_is_in_the_groups_of_all_it_includes() -> None:
    made = gateway()
    names = {f"gw-{c['username']}-id": c["username"] for c in kong(made, "Consumer")}
    groups = {(names[acl["consumerId"]], acl["group"]) for acl in kong(made, "ConsumerAcl")}
    assert groups == {
        ("role-admin", "admin"), ("role-admin", "operator"), ("role-admin", "user"),
        ("role-operator", "operator"), ("role-operator", "user"), ("role-user", "user"),
    }  # fmt: skip
    assert set(names.values()) == {"anonymous", "role-admin", "role-operator", "role-user"}
    assert included("a", {"a": ("b",), "b": ("a",)}) == {"a", "b"}


def test_tokens_are_read_everywhere_and_guarded_by_groups() -> None:
    settings = plugins(gateway())
    assert settings["gw-jwt"]["anonymous"] == "gw-anonymous-id"
    assert (settings["gw-jwt"]["key_claim_name"], settings["gw-jwt"]["claims_to_verify"]) == ("gw", ["exp"])
    assert "gw-key-auth" not in settings
    with_keys = gateway(keys={"ci": "operator"})
    assert plugins(with_keys)["gw-key-auth"]["key_in_query"] is False
    (key,) = kong(with_keys, "ConsumerKeyAuth")
    assert key["key"] == "its-value"


def test_other_origins_and_strict_transport_are_only_where_settings_ask() -> None:
    plain, strict = plugins(gateway()), plugins(gateway(cors_origins=("https://app.test",), tls_only=True))
    assert "gw-cors" not in plain
    assert strict["gw-cors"]["origins"] == ["https://app.test"]
    added = [" ".join(settings["gw-response-transformer"]["add"]["headers"]) for settings in (plain, strict)]
    assert ["Strict-Transport-Security" in text for text in added] == [False, True]


def test_the_page_of_apis_lists_every_service_and_runs_nothing_else() -> None:
    html = _apis.page([Api(name="</script>", path="/a", auth="user").model_dump()], "X-API-Key")
    assert html.count("</script>") == 2
    assert "http" not in html.replace("http-equiv", "")
    policy = _apis.policy(html)
    assert policy.count("'sha256-") == 2
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_kong_is_told_no_secret_in_its_environment_and_its_admin_api_takes_a_password() -> None:
    port = {"bind": "127.0.0.1"}
    spec = KongSpec(
        stack="t",
        contract=images.contract("kong"),
        memory_mib=384,
        admin=Port(container=8001, host=1, **port),
        proxy=Port(container=8000, host=2, **port),
        proxy_tls=Port(container=8443, host=3, **port),
        redirect=443,
    )
    database = PostgresConnection(host="pg", port=5432, database="kong", user="kong", password=cast(Any, None))
    made = workload(spec, database)
    assert set(made.env) <= set(made.contract.accepts)
    assert made.env["KONG_NGINX_ADMIN_AUTH_BASIC_USER_FILE"] == "/run/secrets/admin.htpasswd"
    assert made.env["KONG_NGINX_PROXY_INCLUDE"] == "/run/secrets/plain-http.conf"
    assert set(made.live) == {"admin.htpasswd", "postgres-password"}
    assert "KONG_TRUSTED_IPS" not in made.env
    trusting = workload(spec.model_copy(update={"trusted": ("10.0.0.0/8",), "redirect": None}), database).env
    assert trusting["KONG_TRUSTED_IPS"] == "10.0.0.0/8"
    assert "KONG_NGINX_PROXY_INCLUDE" not in trusting


def test_plain_requests_are_sent_to_the_port_that_clients_see() -> None:
    assert plain_http(443) == "if ($scheme = http) { return 308 https://$host$request_uri; }\n"
    assert "https://$host:4300$request_uri" in plain_http(4300)
    with pytest.raises(ValidationError):
        KongSpec.model_validate({"redirect": 0})
