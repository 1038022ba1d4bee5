"""What runs beside the stack: entries and objects that somebody added by hand, which no refresh can see.

A refresh looks at what the state has. This looks at what the servers have, by a table of kinds for each of them, and
leaves out what the state knows, what the platform itself writes while it runs, and what every server brings along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops import halfmade_entries, objects
from ops.credentials import opened
from ops.objects import VOLUME

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Found:
    """One thing that the stack did not make. ``of`` is what it belongs to; ``remove`` is how it is removed by hand."""

    kind: str
    name: str
    of: str
    remove: str


@dataclass(frozen=True)
class Unseen:
    """What could not be looked at, and why."""

    what: str
    why: str


class Known:
    """What the state has, with its secrets open or not: this looks at names alone."""

    def __init__(self, resources: Iterable[Mapping[str, Any]]) -> None:
        self.resources = [resource for resource in resources if resource.get("id")]
        #: Kong's ids are UUIDs; those of targets and credentials have their owner's beside them.
        self.uuids = {
            found: resource["urn"].rpartition("::")[2]
            for resource in sorted(self.resources, key=lambda one: len(UUID.findall(one["id"])), reverse=True)
            for found in UUID.findall(resource["id"])
        }

    def values(self, field: str, *types: str) -> set[str]:
        """The values of an input of all resources of these types (beginnings of type tokens)."""
        alike = [resource.get("inputs") or {} for resource in self.resources if resource["type"].startswith(types)]
        return {str(inputs[field]) for inputs in alike if inputs.get(field)}

    def provider(self, package: str) -> Mapping[str, Any]:
        """The inputs of the stack's own provider; empty when it has none."""
        token = f"pulumi:providers:{package}"
        found = next((resource for resource in self.resources if resource["type"] == token), {})
        return opened(dict(found.get("inputs") or {}))


Look = Callable[["httpx.Client", Known], Iterator[Found]]


def of_servers(resources: Iterable[Mapping[str, Any]], down: Iterable[str] = ()) -> tuple[list[Found], list[Unseen]]:
    """What Kong, Consul and Vault have beside the stack. ``resources`` have their secrets open; the packages ``down``
    have no server to ask."""
    import httpx

    from ops.unmanaged_entries import LOOKS

    known, found, unseen = Known(resources), list[Found](), list[Unseen]()
    for package, (server, look) in LOOKS.items():
        settings = None if package in down else halfmade_entries.client(server, known.provider(package))
        if settings is None:
            continue
        try:
            with httpx.Client(**settings, timeout=TIMEOUT, trust_env=False) as asked:
                found += look(asked, known)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            unseen.append(Unseen(f"what was added to {server}", str(error).splitlines()[0] or type(error).__name__))
    return found, unseen


def of_engine(stack: str, resources: Iterable[Mapping[str, Any]]) -> list[Found]:
    """Objects with the stack's label that the state does not have."""
    listed = list(resources)
    known = {resource["id"] for resource in listed if resource.get("id")}
    inputs = [resource.get("inputs") or {} for resource in listed]
    volumes = {str(each[field]) for each in inputs for field in ("name", "volume") if isinstance(each.get(field), str)}
    with objects.connect() as client:
        inventory = objects.inventory(client, stack)
    return [
        Found(item.kind, item.name, item.service, f"docker {item.kind} rm {item.name}")
        for item in inventory
        if item.id not in known and not (item.kind == VOLUME and item.name in volumes)
    ]
