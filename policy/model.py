"""What a rule looks at, and what a rule is. Nothing here knows Pulumi's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

#: Stacks that people depend on, as patterns of their names: the rules of scope PRODUCTION hold for these.
PRODUCTION_STACKS = ("prod", "prod-*", "*-prod")
EVERYWHERE, PRODUCTION = "everywhere", "production"


@dataclass(frozen=True)
class Secret:
    """A property's value that the engine keeps encrypted."""

    value: Any = field(repr=False)


class Unknown:
    """A property's value that is known only once something else was made."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource: before it is touched with its inputs, at the end of a run with its outputs where they are known.

    ``dependencies`` has the URNs that each property comes from; only at the end of a run.
    """

    urn: str
    type: str
    properties: Mapping[str, Any]
    protect: bool = False
    dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in the program."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def stack(self) -> str:
        """The stack it is in: ``urn:pulumi:STACK::PROJECT::TYPES::NAME``."""
        return self.urn.removeprefix("urn:pulumi:").split("::", 1)[0]

    def get(self, path: str, default: Any = None) -> Any:
        """The value at ``a.b.c``; ``default`` when there is none, UNKNOWN when it is not known yet.

        Inside a secret, the values are taken as they are.
        """
        found: Any = self.properties
        for part in path.split("."):
            found = bare(found)
            if found is UNKNOWN:
                return UNKNOWN
            if not isinstance(found, Mapping) or found.get(part) is None:
                return default
            found = found[part]
        return found


def bare(value: Any) -> Any:
    """A value without its mark of secrecy."""
    return value.value if isinstance(value, Secret) else value


def known(value: Any) -> bool:
    """Whether a value can be judged already."""
    return bare(value) is not UNKNOWN


@dataclass(frozen=True)
class Violation:
    """What is wrong with which resource."""

    urn: str
    message: str


OfResource = Callable[[Resource], Iterable[str]]
OfStack = Callable[[Sequence[Resource]], Iterable[Violation]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One policy.

    ``check`` gets each resource of ``types`` before it is touched and yields what is wrong with it. ``check_stack``
    gets all resources of ``stack_types`` at the end of a preview or update, for what shows only in several together.
    """

    name: str
    description: str
    remedy: str
    severity: str = "high"  # low, medium, high or critical
    scope: str = EVERYWHERE
    types: frozenset[str] = frozenset()
    check: OfResource | None = None
    stack_types: frozenset[str] = frozenset()
    check_stack: OfStack | None = None

    def holds_for(self, stack: str) -> bool:
        """Whether it is to be kept in this stack."""
        return self.scope == EVERYWHERE or any(fnmatchcase(stack, pattern) for pattern in PRODUCTION_STACKS)

    def of(self, resource: Resource) -> Iterator[Violation]:
        """What is wrong with one resource."""
        if self.check and resource.type in self.types and self.holds_for(resource.stack):
            for message in self.check(resource):
                yield Violation(resource.urn, message)

    def of_all(self, resources: Sequence[Resource]) -> Iterator[Violation]:
        """What is wrong with the stack."""
        own = [resource for resource in resources if resource.type in self.stack_types]
        if self.check_stack and own and self.holds_for(own[0].stack):
            yield from self.check_stack(own)
