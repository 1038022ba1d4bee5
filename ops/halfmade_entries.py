"""Half-made entries of Kong, Vault and Consul: what a repeated creation is refused for, or would make a second of.

Each server is asked as the program's own provider asks it. One that does not answer is reported and left: what it
refuses is then said by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ops.credentials import opened

if TYPE_CHECKING:
    import httpx

TIMEOUT = 5.0
#: Entries that Kong knows by a name: collection and the input that is the name.
KONG_NAMED = {
    "kong:index/service:Service": ("services", "name"),
    "kong:index/route:Route": ("routes", "name"),
    "kong:index/upstream:Upstream": ("upstreams", "name"),
    "kong:index/consumer:Consumer": ("consumers", "username"),
}
#: Those without a name, found by what they belong to: owner, collection, and the fields that identify one, Kong's and
#: ours.
KONG_OWNED = {
    "kong:index/target:Target": ("upstreams", "upstreamId", "targets", ("target", "target")),
    "kong:index/consumerAcl:ConsumerAcl": ("consumers", "consumerId", "acls", ("group", "group")),
    "kong:index/consumerKeyAuth:ConsumerKeyAuth": ("consumers", "consumerId", "key-auth", ("key", "key")),
}
#: Kong allows one plugin of a name for each combination of owners.
KONG_PLUGIN = "kong:index/plugin:Plugin"
OWNERS = {"serviceId": "service", "routeId": "route", "consumerId": "consumer"}
#: Entries of Vault: method and path of their removal, by inputs, the input that tells them apart, and what is sent.
#: A second root certificate would not be the one that signs; it goes with its key.
VAULT: Mapping[str, tuple[str, str, str, Mapping[str, str]]] = {
    "vault:index/mount:Mount": ("DELETE", "sys/mounts/{path}", "path", {}),
    "vault:rabbitMq/secretBackend:SecretBackend": ("DELETE", "sys/mounts/{path}", "path", {}),
    "vault:consul/secretBackend:SecretBackend": ("DELETE", "sys/mounts/{path}", "path", {}),
    "vault:index/authBackend:AuthBackend": ("DELETE", "sys/auth/{path}", "path", {}),
    "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert": ("DELETE", "{backend}/root", "backend", {}),
    "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId": (
        "POST",
        "auth/{backend}/role/{roleName}/secret-id/destroy",
        "secretId",
        {"secret_id": "{secretId}"},
    ),
}
CONSUL_POLICY = "consul:index/aclPolicy:AclPolicy"
TYPES = frozenset({*KONG_NAMED, *KONG_OWNED, KONG_PLUGIN, *VAULT, CONSUL_POLICY})
Report = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """What was being created; ``known`` are the resources that the state has."""

    type: str
    inputs: Mapping[str, Any]
    known: Iterable[Mapping[str, Any]]

    @property
    def ids(self) -> set[str]:
        """The known ones' physical ids."""
        return {resource["id"] for resource in self.known}

    def known_by(self, field: str) -> bool:
        """Whether the state has one of the type with the same input."""
        alike = [opened(resource.get("inputs") or {}) for resource in self.known if resource["type"] == self.type]
        return any(inputs.get(field) == self.inputs[field] for inputs in alike)


def clean(entry: Entry, provider: Mapping[str, Any], report: Report) -> None:
    """Remove one, unless the state has it. ``provider`` has the inputs of the one that was creating it."""
    import httpx

    server, remove = SERVERS[entry.type.partition(":")[0]]
    settings = client(server, provider)
    if settings is None:
        return
    try:
        with httpx.Client(**settings, timeout=TIMEOUT, trust_env=False) as asked:
            for what in remove(asked, entry):
                report(f"removed a half-made entry of {server}: {what}")
    except (httpx.HTTPError, KeyError, ValueError) as error:
        report(f"{server} could not be asked for half-made entries ({error}); a conflict would be reported by it")


def client(server: str, provider: Mapping[str, Any]) -> dict[str, Any] | None:
    """How a server is asked; None when the state has no provider for it."""
    if server == KONG:
        uri, password = provider.get("kongAdminUri"), provider.get("kongAdminPassword")
        auth = (str(provider.get("kongAdminUsername")), str(password)) if password else None
        return {"base_url": uri, "auth": auth} if isinstance(uri, str) else None
    address, token = provider.get("address"), provider.get("token")
    if not isinstance(address, str) or not token:
        return None
    base = address if "://" in address else f"http://{address}"
    return {"base_url": f"{base}/v1", "headers": {"X-Vault-Token" if server == VAULT_NAME else "X-Consul-Token": token}}


def of_kong(asked: httpx.Client, entry: Entry) -> list[str]:
    """Paths of removed entries."""
    found = kong_candidates(asked, entry)
    unknown = [path for path, identity in found if not entry.ids & {identity, path.rpartition("/")[2]}]
    return [path for path in unknown if asked.delete(path).status_code == 204]


def kong_candidates(asked: httpx.Client, entry: Entry) -> list[tuple[str, str]]:
    """(path, id) of what an unfinished creation may have made."""
    inputs = entry.inputs
    if entry.type in KONG_NAMED:
        collection, key = KONG_NAMED[entry.type]
        path = f"/{collection}/{quote(str(inputs.get(key, '')), safe='')}"
        answer = asked.get(path) if inputs.get(key) else None
        return [(path, answer.json()["id"])] if answer is not None and answer.status_code == 200 else []
    if entry.type == KONG_PLUGIN:
        found = listed(asked, "/plugins", size="1000")
        return [(f"/plugins/{p['id']}", p["id"]) for p in found if _same_plugin(p, inputs)]
    owners, owner, collection, (theirs, ours) = KONG_OWNED[entry.type]
    path = f"/{owners}/{inputs.get(owner)}/{collection}"
    return [(f"{path}/{one['id']}", one["id"]) for one in listed(asked, path) if one[theirs] == inputs.get(ours)]


def listed(asked: httpx.Client, path: str, **query: str) -> list[Any]:
    """A collection of Kong, empty when it is not there."""
    answer = asked.get(path, params=query or None)
    return answer.json().get("data", []) if answer.status_code == 200 else []


def _same_plugin(plugin: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    if plugin["name"] != inputs.get("name"):
        return False
    return all((plugin.get(field) or {}).get("id") == inputs.get(key) for key, field in OWNERS.items())


def of_vault(asked: httpx.Client, entry: Entry) -> list[str]:
    """Paths of removed entries. Removing what is not there is no error to Vault."""
    method, path, key, body = VAULT[entry.type]
    if entry.known_by(key):
        return []
    where = path.format_map(entry.inputs)
    answer = asked.request(method, where, json={k: text.format_map(entry.inputs) for k, text in body.items()} or None)
    return [where] if answer.is_success else []


def of_consul(asked: httpx.Client, entry: Entry) -> list[str]:
    """The removed policy."""
    name = str(entry.inputs["name"])
    answer = asked.get(f"acl/policy/name/{quote(name, safe='')}")
    if answer.status_code != 200 or answer.json()["ID"] in entry.ids:
        return []
    return [f"policy {name}"] if asked.delete(f"acl/policy/{answer.json()['ID']}").is_success else []


KONG, VAULT_NAME, CONSUL = "the gateway", "Vault", "Consul"
#: By the package of a type: what its server is called, and what removes an entry and says which.
SERVERS: Mapping[str, tuple[str, Callable[[httpx.Client, Entry], list[str]]]] = {
    "kong": (KONG, of_kong),
    "vault": (VAULT_NAME, of_vault),
    "consul": (CONSUL, of_consul),
}
