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
#: How a route says the role that it asks for (``components/publication.py``), and the word for none.
TAG, NOBODY = "auth:", "public"
#: The plugin that asks for a role, and those that find out who is asking: without one of these it would let nobody in.
ASKS, IDENTIFIES = "acl", frozenset({"jwt", "key-auth", "oauth2", "openid-connect"})

#: What a plugin may be limited to.
SCOPES = ("routeId", "serviceId", "consumerId")


def asks(route: Resource) -> Iterator[str]:
    """A route says its role before it is made; whether it is asked for is seen once its plugin is there."""
    if not listed(route) and not role(route):
        yield f"{', '.join(paths(route)) or 'every path'} is open to everybody"


def listed(route: Resource) -> bool:
    """Whether all of it is for everybody."""
    found = paths(route)
    return bool(found) and set(found) <= PUBLIC_PATHS.keys()


def paths(route: Resource) -> list[str]:
    """The paths of a route; none stands for all."""
    return [str(path) for path in items(route.get("paths"))]


def role(route: Resource) -> str:
    """The role that a route says, or nothing."""
    said = [str(tag).removeprefix(TAG) for tag in items(route.get("tags")) if str(tag).startswith(TAG)]
    return next((each for each in said if each != NOBODY), "")


def guarded(resources: Sequence[Resource]) -> Iterator[Violation]:
    """A route that says a role has the plugin, or its service has; they know each other by their URNs."""
    plugins = [each for each in resources if each.type == PLUGIN and plain(each.get("enabled")) is not False]
    guards = [each for each in plugins if plain(each.get("name")) == ASKS]
    covered = {urn for each in guards for key in ("routeId", "serviceId") for urn in each.dependencies.get(key, ())}
    routes = [each for each in resources if each.type == ROUTE]
    if routes and not any(_for_all(each) and plain(each.get("name")) in IDENTIFIES for each in plugins):
        yield Violation(routes[0].urn, "no plugin of the whole gateway looks at tokens")
    for route in routes:
        asked = covered & {route.urn, *route.dependencies.get("serviceId", ())}
        if role(route) and not listed(route) and not asked:
            yield Violation(route.urn, f"{', '.join(paths(route))} says {role(route)}, and no plugin asks for it")


def _for_all(plugin: Resource) -> bool:
    """In a preview an id is unknown, also one that was not given; what it comes from is known."""
    return not any(plugin.dependencies.get(key) or plain(plugin.get(key)) for key in SCOPES)


RULES = (
    Rule(
        name="route-auth",
        description="In production every route of the gateway asks for a role, unless it is listed.",
        remedy="Give the route's `auth` a role in infra/services.yaml; one that is for everybody is listed, with the "
        "reason, in policy/rules/gateway.py.",
        severity="critical",
        scope=PRODUCTION,
        types=frozenset({ROUTE}),
        check=asks,
        stack_types=frozenset({ROUTE, PLUGIN}),
        check_stack=guarded,
    ),
)
