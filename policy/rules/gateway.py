"""Who gets through the gateway: a route asks who is there, unless it is listed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policy.model import PRODUCTION, Resource, Rule, Violation
from policy.workload import items, plain

ROUTE, PLUGIN = "kong:index/route:Route", "kong:index/plugin:Plugin"
#: What anybody may ask for, by its path, and why.
PUBLIC_PATHS = {
    "/api/v1/auth": "where people sign in; it asks for passwords and tokens itself",
    "/docs": "the page of APIs: descriptions, and no data",
}
#: The plugin that asks for a role, and those that find out who is asking: without one of these it would let nobody in.
ASKS, IDENTIFIES = "acl", frozenset({"jwt", "key-auth", "oauth2", "openid-connect"})


def guarded_routes(resources: Sequence[Resource]) -> Iterator[Violation]:
    """A route has the plugin, or its service has; routes, plugins and services know each other by their URNs."""
    plugins = [each for each in resources if each.type == PLUGIN and plain(each.get("enabled")) is not False]
    guards = [each for each in plugins if plain(each.get("name")) == ASKS]
    guarded = {urn for each in guards for key in ("routeId", "serviceId") for urn in each.dependencies.get(key, ())}
    routes = [each for each in resources if each.type == ROUTE]
    if routes and not any(_for_all(each) and plain(each.get("name")) in IDENTIFIES for each in plugins):
        yield Violation(routes[0].urn, "no plugin of the whole gateway looks at tokens")
    for route in routes:
        if route.urn in guarded or guarded & set(route.dependencies.get("serviceId", ())):
            continue
        paths = [str(path) for path in items(route.get("paths"))]
        if not paths or not set(paths) <= PUBLIC_PATHS.keys():
            yield Violation(route.urn, f"{', '.join(paths) or 'every path'} is open to everybody")


def _for_all(plugin: Resource) -> bool:
    return not any(plugin.get(key) for key in ("routeId", "serviceId", "consumerId"))


RULES = (
    Rule(
        name="route-auth",
        description="In production every route of the gateway asks for a role, unless it is listed.",
        remedy="Give the route's `auth` a role in infra/services.yaml; one that is for everybody is listed, with the "
        "reason, in policy/rules/gateway.py.",
        severity="critical",
        scope=PRODUCTION,
        check_stack=guarded_routes,
    ),
)
