"""A stack's state as a document: whether it contradicts itself, what differs between two, and its form for keeping.

Nothing here asks anybody; a state is what ``pulumi stack export`` gives, its secrets encrypted.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.protection import HOLDING_DATA
from ops import credentials
from ops.events import STACK_TYPE, name_of

IMAGE = "docker:index/remoteImage:RemoteImage"
State = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One resource that another state has not, or has otherwise; ``properties`` are the inputs that changed."""

    op: str
    type: str
    name: str
    properties: tuple[str, ...] = ()


def resources(state: State) -> list[Mapping[str, Any]]:
    """All of a state's resources, in its order."""
    return list((state.get("deployment") or {}).get("resources") or [])


def living(state: State) -> dict[str, Mapping[str, Any]]:
    """By URN those that the program declares: not what is on its way out, nor what the engine adds by itself."""
    return {one["urn"]: one for one in resources(state) if not one.get("delete") and not _added(one)}


def _added(one: Mapping[str, Any]) -> bool:
    """Whether it is the stack itself, or a provider that nobody declared: its inputs are the stack's settings."""
    provider = one["type"].startswith("pulumi:providers:") and name_of(one["urn"]).startswith("default")
    return provider or one["type"] == STACK_TYPE


def problems(state: State) -> list[str]:
    """What contradicts what: the rules by which Pulumi itself accepts a state. Empty for a sound one."""
    deployment = state.get("deployment")
    if not isinstance(deployment, Mapping):
        return ["it has no deployment"]
    manifest = deployment.get("manifest") or {}
    found = []
    if (version := manifest.get("version")) and manifest.get("magic") != hashlib.sha256(version.encode()).hexdigest():
        found.append("its manifest was changed by hand: the checksum of its version is wrong")
    seen: dict[str, str] = {}
    for one in resources(state):
        if not one.get("urn") or not one.get("type"):
            found.append(f"a resource without a URN or a type: {json.dumps(one)[:80]}")
            continue
        found += [f"{name_of(one['urn'])}: {text}" for text in _broken(one, seen)]
        if not one.get("delete"):
            seen[one["urn"]] = one.get("id", "")
        else:
            seen.setdefault(one["urn"], one.get("id", ""))
    return found


def _broken(one: Mapping[str, Any], seen: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a resource, given the ids of those that come before it."""
    if not one.get("delete") and one["urn"] in seen:
        yield "is there twice"
    if one.get("custom") and not one.get("id"):
        yield "has no id"
    if (parent := one.get("parent")) and parent not in seen:
        yield f"its parent {name_of(parent)} is not there before it"
    for urn in sorted(_needs(one) - seen.keys()):
        yield f"it depends on {name_of(urn)}, which is not there before it"
    provider, _, identity = (one.get("provider") or "").rpartition("::")
    if provider and seen.get(provider) != identity:
        yield f"its provider {name_of(provider)} is not there before it"


def _needs(one: Mapping[str, Any]) -> set[str]:
    by_property = (one.get("propertyDependencies") or {}).values()
    deleted_with = {one["deletedWith"]} if one.get("deletedWith") else set[str]()
    return {*(one.get("dependencies") or ()), *(urn for urns in by_property for urn in urns or ())} | deleted_with


def unfinished(state: State) -> list[str]:
    """Operations that had begun when a run was killed: ``creating redis-server``."""
    pending = (state.get("deployment") or {}).get("pending_operations") or []
    return [f"{one['type']} {name_of(one['resource']['urn'])}" for one in pending]


def compare(before: State, after: State) -> list[Difference]:
    """What leads from one state to another, by name. That a secret is another one is not seen."""
    old, new = living(before), living(after)
    found = [Difference("delete", old[urn]["type"], name_of(urn)) for urn in old.keys() - new.keys()]
    found += [Difference("create", new[urn]["type"], name_of(urn)) for urn in new.keys() - old.keys()]
    for urn in old.keys() & new.keys():
        properties = tuple(sorted(_changed(old[urn].get("inputs") or {}, new[urn].get("inputs") or {})))
        replaced = old[urn].get("id") != new[urn].get("id")
        if replaced or properties:
            found.append(Difference("replace" if replaced else "update", new[urn]["type"], name_of(urn), properties))
    return sorted(found, key=lambda one: (one.name, one.type))


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    own = (old.keys() | new.keys()) - {"__defaults"}
    return (key for key in own if _sealed(old.get(key)) != _sealed(new.get(key)))


def _sealed(value: Any) -> Any:
    """A value with its secrets as one word: the same secret is encrypted otherwise each time a state is imported."""
    if isinstance(value, Mapping):
        return "[secret]" if credentials.MARK in value else {key: _sealed(inner) for key, inner in value.items()}
    return [_sealed(inner) for inner in value] if isinstance(value, list) else value


def counts(differences: Iterable[Difference]) -> dict[str, int]:
    """How many resources by what became of them: ``{"create": 2, "update": 1}``."""
    return dict(sorted(Counter(one.op for one in differences).items()))


def images(state: State) -> dict[str, str]:
    """The image references that a stack runs, each with the id it meant."""
    found = [one for one in living(state).values() if one["type"] == IMAGE]
    return {one["inputs"]["name"]: (one.get("outputs") or {}).get("imageId", "") for one in found}


def volumes(state: State) -> list[str]:
    """The names of the volumes that hold data."""
    return sorted(one["id"] for one in living(state).values() if one["type"] in HOLDING_DATA and one.get("id"))


def packed(state: State) -> tuple[str, bytes]:
    """A state for keeping, and the digest of its content: one that is the same is kept once."""
    text = json.dumps(state, separators=(",", ":"), sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest(), gzip.compress(text, compresslevel=5, mtime=0)


def unpacked(content: bytes, digest: str) -> dict[str, Any]:
    """The state again; raises ValueError when it is not what was kept."""
    try:
        text = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"it cannot be unpacked: {error}") from None
    if hashlib.sha256(text).hexdigest() != digest:
        raise ValueError("its content has another digest than it was kept under")
    return json.loads(text)
