"""What the gateway does for all services alike: who is asked for, headers, sizes, browsers' rules, the page of APIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kong as kong
from pydantic import BaseModel, ConfigDict, Field

from components import _apis
from components.publication import configuration

#: Kong's consumer of a role, and of whoever has not signed in. Its groups are empty, so it passes public routes only.
CONSUMER, ANONYMOUS = "role-{role}", "anonymous"
#: The claim that names the signing key and the role (see `services/auth`).
KEY_CLAIM = "gw"
API_KEY_HEADER = "X-API-Key"
CORRELATION_HEADER = "X-Correlation-ID"
#: What pages of other origins may send and see.
ALLOWED_HEADERS = ["Authorization", "Content-Type", "Accept", API_KEY_HEADER, CORRELATION_HEADER]
EXPOSED_HEADERS = [CORRELATION_HEADER, "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"]
PREFLIGHT_SECONDS = 600
#: Where a service says nothing else: OWASP, HTTP Headers Cheat Sheet, for an API that serves no pages.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Permissions-Policy": "interest-cohort=()",
}
#: Only where plain HTTP is turned away: elsewhere browsers would no longer reach other servers of the same host name.
TLS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}
REMOVED = ["X-Powered-By"]
DOCS_PATH, DOCS = "/docs", "gateway-docs"


class Api(BaseModel):
    """A published service, as the page of APIs lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: str
    auth: str


class GatewaySpec(BaseModel):
    """What holds for all services; known at plan time. ``keys`` are API keys: a name and the role it stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    roles: Mapping[str, tuple[str, ...]] = Field(description="each role with those it includes")
    keys: Mapping[str, str] = Field(default_factory=dict)
    cors_origins: tuple[str, ...] = ()
    tls_only: bool = False
    size_mib: int = Field(default=10, ge=1, description="the largest request")
    apis: tuple[Api, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """``store`` is where Kong keeps its entries; they go away with it. ``keys`` are the API keys by name."""

    keys: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    store: pulumi.Resource | None = None


class Gateway(pulumi.ComponentResource):
    """The gateway's own entries. Its provider comes with ``opts``."""

    def __init__(
        self, name: str, spec: GatewaySpec, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Gateway", name, None, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self, deleted_with=args.store)
        self._tags = [spec.stack]
        nobody = self._consumer(ANONYMOUS, (), spec.roles)
        for role in spec.roles:
            self._consumer(CONSUMER.format(role=role), (role,), spec.roles)
        for key, role in spec.keys.items():
            self._key(key, role, args.keys[key], spec.roles)
        self._plugin("jwt", config_json=nobody.id.apply(lambda id: configuration(tokens(id))))
        if spec.keys:
            self._plugin("key-auth", config_json=nobody.id.apply(lambda id: configuration(api_keys(id))))
        for plugin, settings in plugins(spec).items():
            self._plugin(plugin, config_json=configuration(settings))
        self._docs(spec)
        self.register_outputs({})

    def _common(self) -> dict[str, Any]:
        return {"tags": self._tags, "opts": self._child}

    def _plugin(self, plugin: str, suffix: str = "", **settings: Any) -> None:
        kong.Plugin(f"{self._name}-{plugin}{suffix}", name=plugin, **settings, **self._common())

    def _consumer(self, username: str, roles: tuple[str, ...], known: Mapping[str, tuple[str, ...]]) -> kong.Consumer:
        consumer = kong.Consumer(f"{self._name}-{username}", username=username, **self._common())
        for group in sorted({group for role in roles for group in included(role, known)}):
            kong.ConsumerAcl(f"{self._name}-{username}-{group}", consumer_id=consumer.id, group=group, **self._common())
        return consumer

    def _key(self, key: str, role: str, value: pulumi.Input[str], known: Mapping[str, tuple[str, ...]]) -> None:
        consumer = self._consumer(f"key-{key}", (role,), known)
        kong.ConsumerKeyAuth(f"{self._name}-key-{key}-value", consumer_id=consumer.id, key=value, **self._common())

    def _docs(self, spec: GatewaySpec) -> None:
        """The page, served by the gateway itself; its service is never asked."""
        service = kong.Service(
            f"{self._name}-docs", name=DOCS, protocol="http", host="localhost", port=80, **self._common()
        )
        kong.Route(
            f"{self._name}-docs-route",
            name=DOCS,
            service_id=service.id,
            protocols=["http", "https"],
            methods=["GET", "HEAD"],
            paths=[DOCS_PATH],
            **self._common(),
        )
        page = _apis.page([api.model_dump() for api in spec.apis], API_KEY_HEADER)
        answer = {"status_code": 200, "content_type": "text/html; charset=utf-8", "body": page}
        self._plugin("request-termination", "-docs", service_id=service.id, config_json=configuration(answer))
        policy = {"Content-Security-Policy": _apis.policy(page)}
        self._plugin(
            "response-transformer", "-docs", service_id=service.id, config_json=configuration(headers(spec, policy))
        )


def included(role: str, known: Mapping[str, tuple[str, ...]]) -> set[str]:
    """A role and all it includes, directly or not."""
    found, ahead = set[str](), [role]
    while ahead:
        if (one := ahead.pop()) not in found:
            found.add(one)
            ahead += known.get(one, ())
    return found


def tokens(anonymous: str) -> dict[str, Any]:
    """Tokens are looked at on all routes, so that what clients claim about themselves never gets through."""
    return {
        "key_claim_name": KEY_CLAIM,
        "claims_to_verify": ["exp"],
        "uri_param_names": [],
        "run_on_preflight": False,
        "anonymous": anonymous,
    }


def api_keys(anonymous: str) -> dict[str, Any]:
    """Keys come in a header alone: addresses end up in logs."""
    return {
        "key_names": [API_KEY_HEADER],
        "key_in_query": False,
        "hide_credentials": True,
        "run_on_preflight": False,
        "anonymous": anonymous,
    }


def plugins(spec: GatewaySpec) -> dict[str, dict[str, Any]]:
    """The settings of the plugins that every request goes through, by their names."""
    found: dict[str, dict[str, Any]] = {
        "correlation-id": {"header_name": CORRELATION_HEADER, "generator": "uuid", "echo_downstream": True},
        "request-size-limiting": {"allowed_payload_size": spec.size_mib},
        "response-transformer": headers(spec, {}),
        "prometheus": {
            "status_code_metrics": True,
            "latency_metrics": True,
            "bandwidth_metrics": True,
            "upstream_health_metrics": True,
        },
    }
    if spec.cors_origins:
        found["cors"] = {
            "origins": list(spec.cors_origins),
            "headers": ALLOWED_HEADERS,
            "exposed_headers": EXPOSED_HEADERS,
            "credentials": True,
            "max_age": PREFLIGHT_SECONDS,
        }
    return found


def headers(spec: GatewaySpec, own: Mapping[str, str]) -> dict[str, Any]:
    """The headers that are added where the answer has none of the name."""
    wanted = {**HEADERS, **(TLS_ONLY if spec.tls_only else {}), **own}
    return {
        "add": {"headers": [f"{name}:{value}" for name, value in wanted.items()]},
        "remove": {"headers": REMOVED},
    }
