"""What a resource type of this provider is: its inputs, and what is done for it outside the state."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

Properties = Mapping[str, PropertyValue]


@dataclass(frozen=True)
class Field:
    """One input: its type, whether it must be given, whether a change of it matters, and whether it then replaces."""

    type: type | tuple[type, ...]
    required: bool = False
    compared: bool = True
    replaces: bool = False
    default: Any = None
    check: Callable[[Any], str | None] = lambda _: None

    def problem(self, value: Any) -> str | None:
        """What is wrong with a given value, or None."""
        if value == UNKNOWN:
            return None
        if not isinstance(value, self.type):
            wanted = self.type if isinstance(self.type, tuple) else (self.type,)
            return f"must be {' or '.join(kind.__name__ for kind in wanted)}, got {type(value).__name__}"
        return self.check(value)


def between(low: int, high: int, unit: str) -> Callable[[Any], str | None]:
    """A check that a number lies in a range, worded for a person."""
    return lambda value: None if low <= value <= high else f"must be {low}-{high} {unit}, got {value:g}"


class Kind:
    """A resource type. By default it has no object outside the state: nothing to update, read or delete."""

    fields: Mapping[str, Field]

    def chosen(self, inputs: Properties, before: Properties, seed: bytes) -> Mapping[str, PropertyValue]:
        """Inputs that the program leaves to the resource; the ``seed`` of a planned update is that of its preview."""
        return {}

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Make the object; returns the outputs beside the inputs."""
        raise NotImplementedError

    def update(self, inputs: Properties, state: Properties) -> Mapping[str, PropertyValue]:
        """Change the object in place, which is as ``state`` says; returns the outputs beside the inputs."""
        return self.create(inputs)

    def planned(self, inputs: Properties, state: Properties) -> Mapping[str, PropertyValue]:
        """The outputs as far as a preview can know them; of a new object there is no ``state``."""
        return {}

    def exists(self, state: Properties) -> bool:
        """Whether the object is still there as the state has it."""
        return True

    def delete(self, state: Properties) -> None:
        """Remove the object; not an error when it is gone already."""

    def problems(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        """Each wrong input with the reason: unknown, missing, of a wrong type or out of range."""
        for name, value in inputs.items():
            field = self.fields.get(name)
            if field is None:
                near = difflib.get_close_matches(name, self.fields, n=1)
                yield name, f"unknown field {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            elif reason := field.problem(value.value):
                yield name, reason
        for name, field in self.fields.items():
            if field.required and name not in inputs:
                yield name, f"missing required field {name!r}"


def plain(value: PropertyValue) -> Any:
    """A property as plain Python, without marks of secrecy."""
    inner = value.value
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, (list, tuple)):
        return [plain(item) for item in inner]
    return inner


def known(value: Any) -> bool:
    """Whether a plain value holds nothing that a preview cannot know yet."""
    if isinstance(value, dict):
        return all(known(item) for item in value.values())
    if isinstance(value, list):
        return all(known(item) for item in value)
    return value != UNKNOWN
