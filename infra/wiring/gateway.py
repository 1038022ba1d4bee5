"""The wiring of the gateway: the server, what holds for all services, and each service's publication."""

from __future__ import annotations

from urllib.parse import urlsplit

import pulumi

from components._connections import Endpoint, RedisConnection
from components.gateway import Api, Gateway, GatewayArgs, GatewaySpec
from components.gateway_agent import IDENTITY, GatewayAgent, GatewayAgentArgs, GatewayAgentSpec
from components.identity import Identity, IdentityArgs, IdentitySpec
from components.kong import ADMIN_USER, Kong, KongArgs, KongSpec
from components.postgres import Postgres
from components.publication import Breaker, Publication, PublicationArgs, PublicationSpec, RateLimit, Route
from components.redis import Redis
from components.vault import Vault
from infra import images
from infra.catalog import Service
from infra.platform import Platform
from infra.wiring import certificates, secrets

GATEWAY, AGENT = "gateway", IDENTITY
#: The role of the service whose tokens the gateway verifies.
SIGNER = "auth"
HTTPS_PORT = 443


def kong(platform: Platform, entry: Service) -> Kong:
    """The gateway, with its database in PostgreSQL, and what it does for all services."""
    settings = platform.settings
    spec = KongSpec(
        **platform.shape(entry),
        stand_in=platform.image_spec(entry.image).stand_in,
        admin=platform.port(entry, "admin"),
        proxy=platform.port(entry, "proxy", "proxy"),
        proxy_tls=platform.port(entry, "proxy-tls", "proxy_tls"),
        generation=platform.rotation("identities"),
        redirect=(urlsplit(platform.public_url).port or HTTPS_PORT) if settings.tls == "redirect" else None,
    )
    store = platform.find("postgres", Postgres)
    args = KongArgs(**platform.runtime(entry.image), database=store.connections[entry.store])
    server = platform.made[entry.name] = Kong(entry.name, spec, args)
    platform.made[GATEWAY] = Gateway(
        GATEWAY,
        GatewaySpec(
            stack=platform.stack,
            roles=settings.roles,
            keys=settings.api_keys,
            cors_origins=settings.cors_origins,
            tls_only=settings.tls == "redirect",
            apis=apis(platform),
        ),
        GatewayArgs(
            keys=secrets.accounts(platform).api_keys if settings.api_keys else {},
            store=store.running.data,
        ),
        pulumi.ResourceOptions(providers=[platform.kong_provider]),
    )
    if any(service.role == SIGNER for service in platform.catalog.enabled):
        platform.made[AGENT] = agent(platform, server)
    return server


def agent(platform: Platform, server: Kong) -> GatewayAgent:
    """What brings the keys of tokens and the certificate from Vault to the gateway, where somebody signs tokens."""
    vault = platform.find("vault", Vault)
    identity = Identity(
        f"{AGENT}-identity",
        IdentitySpec(service=AGENT, policies=(AGENT,), generation=platform.rotation("identities")),
        IdentityArgs(engines=secrets.engines(platform), store=vault.running.data),
        pulumi.ResourceOptions(providers=[platform.vault_provider]),
    )
    spec = GatewayAgentSpec(
        stack=platform.stack,
        contract=images.contract(AGENT),
        name=AGENT,
        vault=vault.internal,
        kong=server.internal,
        kong_user=ADMIN_USER,
        roles=tuple(platform.settings.roles),
        names=certificates.gateway_names(platform.public_url),
    )
    args = GatewayAgentArgs(
        **platform.runtime("service"), secret_id=identity.secret_id, kong_password=server.admin_password
    )
    return GatewayAgent(AGENT, spec, args)


def apis(platform: Platform) -> tuple[Api, ...]:
    """What the page of APIs lists: the first path of each published service."""
    return tuple(
        Api(name=service.name, path=service.routes[0].path, auth=service.routes[0].auth)
        for service in platform.catalog.enabled
        if service.kind == "service" and service.routes
    )


def counters(platform: Platform) -> RedisConnection | None:
    """Where the gateway counts requests; in itself when the environment runs no Redis."""
    if "redis" not in platform.made:
        return None
    gateway = next(service.name for service in platform.catalog.enabled if service.kind == "kong")
    return platform.find("redis", Redis).connections[gateway]


def publish(platform: Platform, entry: Service, endpoint: Endpoint) -> Publication:
    """A service's routes, as its entry has them."""
    gateway = entry.gateway
    spec = PublicationSpec(
        stack=platform.stack,
        routes=tuple(
            Route(path=r.path, strip_path=r.strip_path, auth=r.auth, methods=tuple(r.methods)) for r in entry.routes
        ),
        rate_limit=RateLimit(**gateway.rate_limit.model_dump()),
        cache=gateway.cache,
        retries=gateway.retries,
        connect_timeout=gateway.connect_timeout,
        timeout=gateway.timeout,
        breaker=Breaker(**gateway.breaker.model_dump()),
        health_path=entry.health.path,
        check_interval=entry.health.interval,
        check_timeout=entry.health.timeout,
    )
    return Publication(
        f"{entry.name}-routes",
        spec,
        PublicationArgs(
            endpoint=endpoint, counters=counters(platform), store=platform.find("postgres", Postgres).running.data
        ),
        pulumi.ResourceOptions(providers=[platform.kong_provider]),
    )
