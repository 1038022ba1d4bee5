"""What the engine says it would do, as steps: values found by their paths, secrets masked before anything else.

The shapes are the engine's own, ``StepEventMetadata`` and ``PropertyDiff`` of its event stream (apitype, events.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ops.events import STACK_TYPE, name_of

SECRET, UNKNOWN_YET, ABSENT = "[secret]", "(known after up)", None
#: How the engine marks a secret or an unknown value in its events.
SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
#: What a bridged plugin notes beside the inputs of a block; nothing that anybody wrote.
DEFAULTS = "__defaults"
#: One part of a property's path: `["key"]`, `[0]` or a plain key.
PART = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)')

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Property:
    """One changed property: its path, the kind of difference, and the values before and after (secrets masked)."""

    path: str
    kind: str
    old: Any
    new: Any

    @property
    def replaces(self) -> bool:
        """Whether it is why the resource cannot be changed in place."""
        return self.kind.endswith("-replace")


@dataclass(frozen=True)
class Step:
    """One operation on one resource. ``old`` and ``new`` are its masked inputs, empty where there are none."""

    op: str
    type: str
    urn: str
    parent: str = ""
    old: Inputs = field(default_factory=dict)
    new: Inputs = field(default_factory=dict)
    properties: tuple[Property, ...] = ()
    keys: tuple[str, ...] = ()
    protected: bool = False
    kept: bool = False  # the state forgets it, the world does not
    tainted: bool = False

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return name_of(self.urn)


@dataclass(frozen=True)
class World:
    """Every step of one plan, unchanged resources too: what a change means depends on what stays beside it."""

    steps: tuple[Step, ...]

    @cached_property
    def _children(self) -> Mapping[str, list[Step]]:
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.parent, []).append(step)
        return found

    def beside(self, step: Step) -> list[Step]:
        """The steps of all resources with the same parent, the step itself among them."""
        return self._children.get(step.parent, [])

    def of_type(self, token: str) -> Iterator[Step]:
        """The steps of one type of resource."""
        return (step for step in self.steps if step.type == token)


def read(events: Iterable[Mapping[str, Any]]) -> World:
    """The steps in the engine's order, one for each resource; looking at one (a refresh) is none."""
    found: dict[str, Step] = {}
    leftover: dict[str, Step] = {}
    for event in events:
        data = (event.get("resourcePreEvent") or {}).get("metadata")
        if not data or data["type"] == STACK_TYPE:
            continue
        if data["op"] in ("create", "update", "replace", "delete", "same"):
            found[data["urn"]] = parse(data)
        elif data["op"] == "delete-replaced":
            leftover[data["urn"]] = parse({**data, "op": "delete"})
    # Half of a replacement stands for itself where the other half is not planned: an earlier run was stopped there.
    return World((*found.values(), *(step for urn, step in leftover.items() if _alone(found.get(urn)))))


def _alone(other: Step | None) -> bool:
    return other is None or other.op not in ("replace", "delete")


def parse(data: Mapping[str, Any]) -> Step:
    """A step from the engine's description of it."""
    before, after = data.get("old") or {}, data.get("new") or {}
    return Step(
        op=data["op"],
        type=data["type"],
        urn=data["urn"],
        parent=after.get("parent") or before.get("parent") or "",
        old=masked(before.get("inputs") or {}),
        new=masked(after.get("inputs") or {}),
        properties=_properties(data, before, after),
        keys=tuple(data.get("keys") or ()),
        protected=bool(before.get("protect")),
        kept=bool(before.get("retainOnDelete")),
        tainted=bool(before.get("taint")),
    )


def _properties(data: Mapping[str, Any], before: Inputs, after: Inputs) -> tuple[Property, ...]:
    details = data.get("detailedDiff") or {}
    if not details and data["op"] in ("update", "replace"):
        replacing = set(data.get("keys") or ())
        details = {
            key: {"diffKind": "update-replace" if key in replacing else "update"}
            for key in dict.fromkeys([*(data.get("diffs") or ()), *replacing])
        }
    found = [
        Property(path, str((detail or {}).get("diffKind") or "update"), *_values(path, before, after))
        for path, detail in sorted(details.items())
    ]
    # Items of a set that only moved are no change; all the same, something is, so that never all of them go.
    return tuple([p for p in found if p.old != p.new or p.old in (SECRET, UNKNOWN_YET, ABSENT)] or found)


def _values(path: str, before: Inputs, after: Inputs) -> tuple[Any, Any]:
    """Before and after; what was changed outside is only in the outputs of before."""
    old, new = value(before.get("inputs") or {}, path), value(after.get("inputs") or {}, path)
    if old == new:
        real = value(before.get("outputs") or {}, path)
        old = real if isinstance(real, str | int | float | bool) else old
    return like(old, new), like(new, old)


def value(inputs: Inputs, path: str) -> Any:
    """The value at ``a.b[0].c``; secrets and values not known yet are said as such."""
    found: Any = inputs
    for quoted, index, plain in PART.findall(path):
        found = masked(found) if isinstance(found, Mapping) and SIGNATURE in found else found
        key = index or plain or quoted.replace('\\"', '"')
        if isinstance(found, Mapping):
            found = found.get(key, ABSENT)
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return found if found == SECRET else ABSENT
    return masked(found)


def masked(found: Any) -> Any:
    """The value without what nobody may read."""
    if isinstance(found, Mapping):
        if SIGNATURE in found:
            return SECRET
        return {key: masked(inner) for key, inner in found.items() if key != DEFAULTS}
    if isinstance(found, list):
        return [masked(inner) for inner in found]
    return UNKNOWN_YET if found == UNKNOWN else found


def like(found: Any, other: Any) -> Any:
    """``found`` with all masked that is a secret in ``other``: a value does not stop being one by losing its mark."""
    if other == SECRET and found is not ABSENT:
        return SECRET
    if isinstance(found, Mapping) and isinstance(other, Mapping):
        return {key: like(inner, other.get(key)) for key, inner in found.items()}
    if isinstance(found, list) and isinstance(other, list):
        if SECRET in other:  # it may have moved: all that the other list does not have may be it
            return [inner if inner in other else SECRET for inner in found]
        return [like(inner, other[index] if index < len(other) else ABSENT) for index, inner in enumerate(found)]
    return found
