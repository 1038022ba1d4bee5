"""The kinds of entries that Kong, Consul and Vault can have: how each is listed, and how the stack's own are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.halfmade_entries import CONSUL, KONG, VAULT_NAME
from ops.unmanaged import Found, Known, Look

if TYPE_CHECKING:
    import httpx

#: The tag of what the gateway's agent writes and removes by itself (``services/gateway_agent/keys.py``).
AGENT = "nexus-gateway-agent"
#: Kong's collections, and the field that is an entry's name; a credential's own value is never shown.
KONG_KINDS: Mapping[str, tuple[str, str]] = {
    "services": ("Kong service", "name"),
    "routes": ("Kong route", "name"),
    "upstreams": ("Kong upstream", "name"),
    "consumers": ("Kong consumer", "username"),
    "plugins": ("Kong plugin", "name"),
    "acls": ("Kong consumer's group", "group"),
    "key-auths": ("Kong consumer's API key", "id"),
    "basic-auths": ("Kong consumer's password", "username"),
    "jwts": ("Kong consumer's token key", "key"),
    "certificates": ("Kong certificate", "id"),
    "ca_certificates": ("Kong CA certificate", "id"),
}
OWNERS = ("service", "route", "consumer", "upstream")
PAGE = "1000"


def of_kong(asked: httpx.Client, known: Known) -> Iterator[Found]:
    """All of Kong is the stack's: what has another id, and is not the agent's, was added by hand."""
    for collection, (kind, label) in KONG_KINDS.items():
        for entry in pages(asked, f"/{collection}"):
            if strange(entry, known):
                yield Found(
                    kind,
                    str(entry.get(label) or entry["id"]),
                    owner(entry, known),
                    f"DELETE /{collection}/{entry['id']}",
                )
            if collection == "upstreams":
                path = f"/upstreams/{entry['id']}/targets"
                for target in pages(asked, path):
                    if strange(target, known):
                        yield Found("Kong target", target["target"], entry["name"], f"DELETE {path}/{target['id']}")


def strange(entry: Mapping[str, Any], known: Known) -> bool:
    """Whether the stack, or the agent, did not make it."""
    return entry["id"] not in known.uuids and AGENT not in (entry.get("tags") or ())


def owner(entry: Mapping[str, Any], known: Known) -> str:
    """What an entry is about, by the names of the program where it is the stack's."""
    ids = [(field, (entry.get(field) or {}).get("id")) for field in OWNERS]
    return ", ".join(f"{field} {known.uuids.get(identity, identity)}" for field, identity in ids if identity)


def pages(asked: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """All entries of a collection; none of one that this Kong does not have."""
    query: dict[str, str] = {"size": PAGE}
    while True:
        answer = asked.get(path, params=query)
        if answer.status_code == 404:
            return
        page = answer.raise_for_status().json()
        yield from page["data"]
        if not page.get("offset"):
            return
        query["offset"] = page["offset"]


#: What Consul has by itself, and what its monitor registers and writes.
CONSUL_SERVICES = frozenset({"consul", "consul-esm"})
CONSUL_POLICIES = frozenset({"global-management", "builtin/global-read-only"})
CONSUL_TOKENS = frozenset({"Initial Management Token", "Bootstrap Token (Global Management)", "Anonymous Token"})
#: Who makes tokens at run time says so in their description (Vault, Consul secrets engine).
LENT = "Vault "
GRANT = "consul-{}-token"
MONITOR_KEYS = "consul-esm/"
#: A service writes its own keys (``components/_consul_rules.py``).
SERVICE_KEYS = "services/{}/"


def of_consul(asked: httpx.Client, known: Known) -> Iterator[Found]:
    """Services, nodes, policies, tokens and keys."""
    own = {
        (each["inputs"].get("node"), each["inputs"].get("name")) for each in _of(known, "consul:index/service:Service")
    }
    for name in sorted(get(asked, "catalog/services")):
        for each in get(asked, f"catalog/service/{name}"):
            if name not in CONSUL_SERVICES and (each["Node"], name) not in own:
                body = f'{{"Node": "{each["Node"]}", "ServiceID": "{each["ServiceID"]}"}}'
                yield Found("Consul service", name, f"node {each['Node']}", f"PUT /v1/catalog/deregister {body}")
    nodes = known.values("name", "consul:index/node:Node")
    for each in get(asked, "catalog/nodes"):
        if each["Node"] not in nodes and (each.get("Meta") or {}).get("external-node"):
            yield Found("Consul node", each["Node"], "", f'PUT /v1/catalog/deregister {{"Node": "{each["Node"]}"}}')
    grants = set(_grants(known))
    policies = known.values("name", "consul:index/aclPolicy:AclPolicy") | CONSUL_POLICIES | grants
    for each in get(asked, "acl/policies"):
        if each["Name"] not in policies:
            yield Found("Consul policy", each["Name"], "", f"DELETE /v1/acl/policy/{each['ID']}")
    for each in get(asked, "acl/tokens"):
        said = each.get("Description", "")
        if said not in grants | CONSUL_TOKENS and not said.startswith(LENT):
            yield Found("Consul token", said or each["AccessorID"], "", f"DELETE /v1/acl/token/{each['AccessorID']}")
    yield from _keys(asked, known)


def _keys(asked: httpx.Client, known: Known) -> Iterator[Found]:
    written = {SERVICE_KEYS.format(name) for name in known.values("name", "consul:index/service:Service")}
    prefixes = tuple(written | {MONITOR_KEYS})
    declared = {
        f"{prefix}{path}"
        for each in _of(known, "consul:index/keyPrefix:KeyPrefix", "consul:index/keys:Keys")
        for prefix, paths in [_paths(each["inputs"])]
        for path in paths
    }
    for key in get(asked, "kv/?keys=true"):
        if not key.startswith(prefixes) and key not in declared:
            yield Found("Consul key", key, "", f"DELETE /v1/kv/{key}")


def _paths(inputs: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Prefix and paths of a resource that holds keys."""
    listed = [each["path"] for field in ("subkeyCollection", "keys") for each in inputs.get(field) or ()]
    return str(inputs.get("pathPrefix") or ""), [*(inputs.get("subkeys") or {}), *listed]


def _grants(known: Known) -> Iterator[str]:
    """Names of the tokens that the gate makes known, each with a policy of its name (``components/consul.py``)."""
    before, after = GRANT.split("{}")
    for each in _of(known, "nexus:index:GeneratedSecret"):
        name = each["urn"].rpartition("::")[2]
        if name.startswith(before) and name.endswith(after):
            yield name.removeprefix(before).removesuffix(after)


def _of(known: Known, *types: str) -> list[Mapping[str, Any]]:
    return [each for each in known.resources if each["type"] in types]


def get(asked: httpx.Client, path: str) -> Any:
    """An answer of Consul; an empty list for what there is none of."""
    answer = asked.get(path)
    return [] if answer.status_code == 404 else answer.raise_for_status().json()


@dataclass(frozen=True)
class Names:
    """A collection of Vault: how it is asked, which resources have its names in which input, and what is its own."""

    kind: str
    path: str
    field: str
    types: tuple[str, ...]
    own: Collection[str] = ()
    method: str = "LIST"


#: `nexus-stack` is what the keeper gives the stack's token (``components/vault_keeper.sh``).
VAULT_KINDS = (
    Names("Vault policy", "sys/policies/acl", "name", ("vault:index/policy:",), {"root", "default", "nexus-stack"}),
    Names("Vault engine", "sys/mounts", "path", ("vault:",), {"sys", "identity", "cubbyhole"}, "GET"),
    Names("Vault login method", "sys/auth", "path", ("vault:index/authBackend:",), {"token"}, "GET"),
    Names("Vault AppRole role", "auth/approle/role", "roleName", ("vault:appRole/authBackendRole:",)),
    Names("Vault database role", "database/roles", "name", ("vault:database/secretBackendRole:",)),
    Names("Vault RabbitMQ role", "rabbitmq/roles", "name", ("vault:rabbitMq/secretBackendRole:",)),
    Names("Vault Consul role", "consul/roles", "name", ("vault:consul/secretBackendRole:",)),
    Names("Vault key", "transit/keys", "name", ("vault:transit/secretBackendKey:",)),
    Names("Vault certificate role", "pki/roles", "name", ("vault:pkiSecret/secretBackendRole:",)),
    Names("Vault certificate role", "pki_int/roles", "name", ("vault:pkiSecret/secretBackendRole:",)),
)


def of_vault(asked: httpx.Client, known: Known) -> Iterator[Found]:
    """Policies, engines, login methods, roles and keys, by their names."""
    for kind in VAULT_KINDS:
        answer = asked.request(kind.method, kind.path)
        if answer.status_code == 404:
            continue
        data = answer.raise_for_status().json()["data"]
        names = data["keys"] if kind.method == "LIST" else data
        declared = known.values(kind.field, *kind.types) | set(kind.own)
        for name in sorted(each.rstrip("/") for each in names):
            if name not in declared:
                yield Found(kind.kind, name, "", f"DELETE /v1/{kind.path}/{name}")


#: By the package of Pulumi's types: the server's name, and what looks at it.
LOOKS: Mapping[str, tuple[str, Look]] = {
    "kong": (KONG, of_kong),
    "consul": (CONSUL, of_consul),
    "vault": (VAULT_NAME, of_vault),
}
