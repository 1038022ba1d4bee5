"""A route to a service through kong, and the service in consul; `conformance:port` is what the tests change."""

import pulumi
import pulumi_consul as consul
import pulumi_kong as kong

config = pulumi.Config("conformance")
port = config.require_int("port")
gateway = kong.Provider("gateway", kong_admin_uri=config.require("kong"))
registry = consul.Provider("registry", address=config.require("consul"), scheme="http", token=config.require("token"))

in_kong = pulumi.ResourceOptions(provider=gateway)
upstream = kong.Upstream(
    "backend",
    name="backend",
    healthchecks=kong.UpstreamHealthchecksArgs(
        active=kong.UpstreamHealthchecksActiveArgs(
            http_path="/ready", healthy=kong.UpstreamHealthchecksActiveHealthyArgs(interval=5, successes=1)
        )
    ),
    opts=in_kong,
)
kong.Target("backend", target=f"10.0.0.1:{port}", weight=100, upstream_id=upstream.id, opts=in_kong)
service = kong.Service("backend", name="backend", protocol="http", host=upstream.name, port=port, opts=in_kong)
route = kong.Route("api", protocols=["http"], paths=["/api/v1/"], service_id=service.id, opts=in_kong)

in_consul = pulumi.ResourceOptions(provider=registry)
node = consul.Node("outside", name="outside", address="10.0.0.1", meta={"external-node": "true"}, opts=in_consul)
consul.Service(
    "backend",
    name="backend",
    node=node.name,
    port=port,
    checks=[
        consul.ServiceCheckArgs(
            check_id="backend-http",
            name="http",
            http=f"http://10.0.0.1:{port}/health",
            interval="10s",
            timeout="2s",
            status="passing",
        )
    ],
    opts=in_consul,
)
consul.KeyPrefix(
    "settings",
    path_prefix="settings/",
    subkeys={"port": str(port), "token": pulumi.Output.secret("a-very-secret-value")},
    opts=in_consul,
)

pulumi.export("route", route.id)
pulumi.export("route_name", route.name)
pulumi.export("service", service.id)
