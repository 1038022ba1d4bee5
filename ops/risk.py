"""What a change risks: rules as a table by type of resource and operation, and a few questions to the plan.

Labels, the worst first: data that is gone, data that is made anew, what is opened, what ends, what is away for a
moment, and safe. A type that has no row is unknown here, and what its removal loses is assumed to be data.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from components._labels import SERVICE
from ops.steps import Inputs, Step, World

LOSES, REPLACES, EXPOSES, STOPS, RESTARTS, SAFE = (
    "loses data",
    "replaces data",
    "exposes",
    "stops",
    "restarts",
    "safe",
)
LABELS = (LOSES, REPLACES, EXPOSES, STOPS, RESTARTS, SAFE)
#: Seconds from the removal of the only container until the new one answers, on two cores with source `local`, from the
#: events of recorded updates. Every other service is an application of Python, as the last row.
DOWNTIME: Mapping[str, int] = {
    "postgres": 5, "redis": 2, "rabbitmq": 20, "consul": 4, "vault": 10, "kong": 3, "elasticsearch": 30,
    "prometheus": 4, "kibana": 15, "": 7,
}  # fmt: skip
#: Kong plugins that refuse somebody. `jwt` and `key-auth` alone do not: they fall back to the anonymous consumer (docs/
#: adr/0013-the-gateway-asks-everybody.md).
GUARDS = {"acl", "basic-auth", "hmac-auth", "ip-restriction", "ldap-auth", "mtls-auth", "oauth2", "openid-connect"}
CONTAINER, SERVICE_TYPE = "docker:index/container:Container", "docker:index/service:Service"
TRIAL = "nexus:index:Trial"
ROUTE, PLUGIN = "kong:index/route:Route", "kong:index/plugin:Plugin"


@dataclass(frozen=True)
class Risk:
    """A label, and why in one sentence without a full stop."""

    label: str
    why: str = ""


Judge = Callable[[Step, World], str]


@dataclass(frozen=True)
class Rule:
    """Operations on a type (a pattern) that have a label. ``why``, or what a judge says; none is said: no risk."""

    types: str
    ops: str
    label: str
    why: str | Judge = ""


def assess(step: Step, world: World) -> tuple[Risk, ...]:
    """What the step risks, the worst first; never empty."""
    if step.op == "delete" and step.kept:
        return (Risk(SAFE, "only the state forgets it; it is kept"),)
    rules = [rule for rule in RULES if fnmatchcase(step.type, rule.types)]
    found = [Risk(rule.label, why) for rule in rules if step.op in rule.ops.split() if (why := _why(rule, step, world))]
    if not rules and not any(fnmatchcase(step.type, pattern) for pattern in HARMLESS):
        found = [Risk(UNKNOWN[step.op], f"{step.type} is not known here")] if step.op in UNKNOWN else []
    if step.protected and step.op in ("delete", "replace"):
        found = [Risk(risk.label, f"{risk.why}; it is protected, so up refuses") for risk in found]
    return tuple(sorted(found, key=lambda risk: LABELS.index(risk.label))) or (Risk(SAFE),)


def _why(rule: Rule, step: Step, world: World) -> str:
    return rule.why if isinstance(rule.why, str) else rule.why(step, world)


# what is away for a moment


def downtime(step: Step, world: World) -> str:
    """A container is made again: how long nobody answers in its place."""
    if any(one.type == TRIAL and one.op != "delete" for one in world.beside(step)):
        return "rolling: the new version has proved itself in a container beside it, which answers meanwhile"
    own = _label(step.old)
    others = [one for one in world.of_type(CONTAINER) if one is not step and one.old and _label(one.old) == own]
    # Of several, one waits for the one before it to answer; those that go with this very update do not help.
    if own and any(one.op != "delete" for one in others):
        return "rolling: the other replicas answer meanwhile"
    return f"about {DOWNTIME.get(own, DOWNTIME[''])} s without an answer"


def tasks(step: Step, world: World) -> str:
    """A swarm's service: its tasks are made again when their description changes, not when only their number does."""
    changed = [p.path for p in step.properties if p.path.split(".")[0] == "taskSpec"]
    if step.op != "replace" and not changed:
        return ""
    if step.op == "replace":
        return downtime(step, world)
    replicas = _replicas(step.old)
    if (step.new.get("updateConfig") or {}).get("order") == "start-first":
        return "rolling: a new task answers before an old one ends"
    if replicas > 1:
        return f"rolling: one of {replicas} tasks after the other"
    return downtime(step, world)


def _replicas(inputs: Inputs) -> int:
    return int(((inputs.get("mode") or {}).get("replicated") or {}).get("replicas") or 1)


def _label(inputs: Inputs) -> str:
    labels = inputs.get("labels") or []
    return next(
        (str(one.get("value")) for one in labels if isinstance(one, Mapping) and one.get("label") == SERVICE), ""
    )


# what is opened


def ports(step: Step, _world: World) -> str:
    """Host ports that others than this machine reach, and did not before."""
    opened = sorted(_open(step.new) - _open(step.old))
    return "others can reach " + ", ".join(opened) if opened else ""


def _open(inputs: Inputs) -> set[str]:
    published = {
        f"{address or '0.0.0.0'}:{port.get('external', '?')}"  # noqa: S104
        for port in _items(inputs.get("ports"))
        if not _loopback(address := str(port.get("ip") or ""))
    }
    endpoint = inputs.get("endpointSpec")
    swarm = _items(endpoint.get("ports")) if isinstance(endpoint, Mapping) else []
    return published | {f"0.0.0.0:{port['publishedPort']}" for port in swarm if port.get("publishedPort")}


def _items(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found or [] if isinstance(one, Mapping)] if isinstance(found, list) else []


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def open_route(step: Step, world: World) -> str:
    """A route that nobody has to sign in for: new, with other paths, or without the guard it had."""
    news = step.op in ("create", "replace") or any(
        p.path.split("[")[0] in ("paths", "hosts", "methods", "serviceId") for p in step.properties
    )
    return f"{_paths(step.new)} takes anybody, without a token" if news and not _guards(step, world, "new") else ""


def lost_guard(step: Step, world: World) -> str:
    """A plugin that refused somebody goes, or lets others in, while its routes stay."""
    if str(step.old.get("name")) not in GUARDS:
        return ""
    routes = [one for one in world.beside(step) if one.type == ROUTE and one.new and _covers(step.old, step.name, one)]
    if not routes:
        return ""
    paths = ", ".join(_paths(route.new) for route in routes)
    if step.op == "delete":
        return "" if all(_guards(one, world, "new") for one in routes) else f"{paths} takes anybody, without a token"
    before, after = _allowed(step.old), _allowed(step.new)
    if before is not None and after is not None and after <= before:
        return ""
    return f"{paths} lets in {', '.join(sorted(after)) if after else 'others'}"


def _guards(route: Step, world: World, side: str) -> list[Step]:
    """The plugins that guard a route; made for it or for its whole service."""
    return [
        one
        for one in world.beside(route)
        if one.type == PLUGIN
        and (inputs := getattr(one, side)).get("name") in GUARDS
        and inputs.get("enabled", True) is not False
        and _covers(inputs, one.name, route)
    ]


def _covers(plugin: Inputs, name: str, route: Step) -> bool:
    """Ids are not known before `up`; what is made for one route has its number (components/publication.py)."""
    return "routeId" not in plugin or _number(name) == _number(route.name)


def _number(name: str) -> str:
    found = re.search(r"-(\d+)$", name)
    return found[1] if found else ""


def _allowed(plugin: Inputs) -> set[str] | None:
    try:
        return set(json.loads(plugin.get("configJson") or "")["allow"])
    except (ValueError, KeyError, TypeError):
        return None


def _paths(route: Inputs) -> str:
    paths = route.get("paths")
    return ", ".join(map(str, paths)) if isinstance(paths, list) and paths else "the route"


# what ends, and what is lost


def closed_route(step: Step, _world: World) -> str:
    """A route is gone."""
    return f"{_paths(step.old)} is no longer there"


def kept_under(step: Step, _world: World) -> str:
    """A place of Vault's, with all in it."""
    return f"all that Vault keeps under {step.old.get('path') or step.old.get('name') or step.name}"


def revisions(step: Step, _world: World) -> str:
    """Revisions of a schema that may lose data, and are newly acknowledged."""
    new = sorted(_acknowledged(step.new) - _acknowledged(step.old))
    return f"migrations that may lose data are acknowledged: {', '.join(new)}" if new else ""


def _acknowledged(inputs: Inputs) -> set[str]:
    """What the run is told (components/migrations.py) is a list of databases, as JSON in one of its variables."""
    env = inputs.get("env")
    told = [text for text in env.values() if '"acknowledged"' in str(text)] if isinstance(env, Mapping) else []
    try:
        targets = [target for text in told for target in json.loads(text)]
        return {f"{target['database']} {one}" for target in targets for one in target["acknowledged"]}
    except (ValueError, KeyError, TypeError):
        return set()


RULES: tuple[Rule, ...] = (
    Rule("docker:index/volume:Volume", "delete", LOSES, "the volume and all in it"),
    Rule("docker:index/volume:Volume", "replace", REPLACES, "the new volume is empty; what the old one has is gone"),
    Rule(CONTAINER, "replace", RESTARTS, downtime),
    Rule(CONTAINER, "delete", STOPS, "nothing answers in its place"),
    Rule(CONTAINER, "create update replace", EXPOSES, ports),
    Rule(SERVICE_TYPE, "update replace", RESTARTS, tasks),
    Rule(SERVICE_TYPE, "delete", STOPS, "nothing answers in its place"),
    Rule(SERVICE_TYPE, "create update replace", EXPOSES, ports),
    Rule("docker:index/network:Network", "replace", RESTARTS, "all that is connected to it loses its connections"),
    Rule("docker:index/network:Network", "delete", STOPS, "nothing can be connected to it any more"),
    Rule(ROUTE, "create update replace", EXPOSES, open_route),
    Rule(ROUTE, "delete", STOPS, closed_route),
    Rule(ROUTE, "replace", RESTARTS, "its paths are not found for a moment"),
    Rule(PLUGIN, "update delete", EXPOSES, lost_guard),
    Rule("kong:index/service:Service", "delete", STOPS, "the gateway sends nothing there any more"),
    Rule("kong:index/service:Service", "replace", RESTARTS, "its routes are not found for a moment"),
    Rule("kong:index/upstream:Upstream", "delete", STOPS, "the gateway sends nothing there any more"),
    Rule("kong:index/upstream:Upstream", "replace", RESTARTS, "the gateway has nowhere to send to for a moment"),
    Rule("kong:index/consumer*:Consumer*", "delete", STOPS, "who signs in as it, or by its key, is turned away"),
    Rule("kong:index/consumer*:Consumer*", "replace", RESTARTS, "who signs in as it is turned away for a moment"),
    Rule("consul:index/service:Service", "delete", STOPS, "others no longer find it in Consul"),
    Rule("vault:index/mount:Mount", "delete", LOSES, kept_under),
    Rule("vault:index/mount:Mount", "replace", REPLACES, kept_under),
    Rule("vault:kv/secretV2:SecretV2", "delete", LOSES, "the secret with all its versions"),
    Rule("vault:kv/secretV2:SecretV2", "replace", REPLACES, "the secret with all its versions"),
    Rule(
        "vault:transit/*", "delete", LOSES, "what it encrypted cannot be read, what it signed not be verified any more"
    ),
    Rule("vault:transit/*", "replace", REPLACES, "what the old key encrypted cannot be read any more"),
    Rule("vault:pkiSecret/*RootCert:*", "delete", LOSES, "the authority's key; nothing it signed can be renewed"),
    Rule(
        "vault:pkiSecret/*RootCert:*", "replace", REPLACES, "a new authority: all who trust the old one have to be told"
    ),
    Rule("vault:*/secretBackend:*", "delete", STOPS, "Vault takes back every login it lent by it"),
    Rule("vault:*/secretBackend:*", "replace", RESTARTS, "Vault takes back every login it lent by it"),
    Rule("vault:index/authBackend:AuthBackend", "delete", STOPS, "nobody logs in to Vault by it any more"),
    Rule("vault:index/authBackend:AuthBackend", "replace", RESTARTS, "all have to log in to Vault anew"),
    Rule("nexus:index:Job", "create update replace", LOSES, revisions),
)
#: Types whose changes touch neither data nor who is served: what is made from the program alone, and can be made again.
HARMLESS = (
    "docker:index/remoteImage:RemoteImage", "docker:index/secret:Secret", "kong:index/target:Target", "nexus:index:*",
    "consul:index/node:Node", "consul:index/acl*", "pulumi:providers:*", "vault:index/policy:Policy", "vault:appRole/*",
    "vault:consul/secretBackendRole:*", "vault:database/*", "vault:rabbitMq/secretBackendRole:*",
    "vault:pkiSecret/secretBackend*",
)  # fmt: skip
#: What is assumed of a type that has no row.
UNKNOWN = {"delete": LOSES, "replace": REPLACES}


def worst(labels: Iterator[str]) -> str:
    """The worst of some labels; safe when there are none."""
    return min(labels, key=LABELS.index, default=SAFE)
