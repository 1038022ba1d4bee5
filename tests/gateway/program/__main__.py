"""Three services behind a gateway, as the platform declares them; the tests say where everything is."""

import pulumi
import pulumi_kong as kong

from components._connections import Endpoint, RedisConnection
from components._resources import GeneratedSecret
from components.gateway import Api, Gateway, GatewayArgs, GatewaySpec
from components.kong import ADMIN_USER
from components.publication import Breaker, Publication, PublicationArgs, PublicationSpec, RateLimit, Route

config = pulumi.Config("gateway")
opts = pulumi.ResourceOptions(
    providers=[
        kong.Provider(
            "kong",
            kong_admin_uri=config.require("admin"),
            kong_admin_username=ADMIN_USER,
            kong_admin_password=config.require_secret("password"),
        )
    ],
)
counters = RedisConnection(
    host="127.0.0.1",
    port=config.require_int("redis"),
    user="kong",
    password=config.require_secret("password"),
)
#: Two instances of each service.
HOSTS = ("127.0.0.1", "127.0.0.2")
SERVICES = {
    "open": {"routes": (Route(path="/api/v1/open"),), "cache": 60},
    "team": {
        "routes": (Route(path="/api/v1/team", auth="user"), Route(path="/api/v2/team", auth="admin")),
        "breaker": Breaker(errors=3, timeouts=1),
        "timeout": 2,
    },
    "busy": {"routes": (Route(path="/api/v1/busy"),), "rate_limit": RateLimit(minute=config.require_int("minute"))},
}
apis = tuple(
    Api(name=name, path=spec["routes"][0].path, auth=spec["routes"][0].auth) for name, spec in SERVICES.items()
)
ci = GeneratedSecret("ci-key", length=48)
Gateway(
    "gateway",
    GatewaySpec(
        stack="test",
        roles={"admin": ("user",), "user": ()},
        cors_origins=("https://app.test",),
        size_mib=1,
        apis=apis,
        keys={"ci": "user"},
    ),
    GatewayArgs(keys={"ci": ci.value}),
    opts,
)
for name, settings in SERVICES.items():
    port = config.require_int(name)
    endpoint = Endpoint(name=name, host="127.0.0.1", port=port, hosts=HOSTS)
    spec = PublicationSpec(stack="test", health_path="/probe", check_interval=1, check_timeout=1, **settings)
    Publication(name, spec, PublicationArgs(endpoint=endpoint, counters=counters), opts)
pulumi.export("ci", pulumi.Output.secret(ci.value))
