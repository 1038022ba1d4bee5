"""The changes of a plan: what happens to which resource, which property causes it, and what it risks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ops import risk, steps
from ops.errors import BAD_INPUT, Failure
from ops.events import Tracker, name_of
from ops.risk import Risk
from ops.steps import ABSENT, Property, Step

ACTIONS = ("create", "update", "replace", "delete")
#: The order in which changes of the same risk are shown: what removes something first.
ORDER = ("delete", "replace", "update", "create")
#: Characters of a value that is shown.
LONGEST = 80
GONE = "no longer in the program"
LEFT_OVER = "left by a replacement that was stopped half-way"
DEPENDS = "what it depends on is replaced"
MARKED = "it is marked to be made anew"


@dataclass(frozen=True)
class Change:
    """One step that changes something: why (``cause`` of a delete or a replace), and what it risks, the worst first."""

    op: str
    type: str
    name: str
    urn: str = ""
    properties: tuple[Property, ...] = ()
    cause: str = ""
    risks: tuple[Risk, ...] = (Risk(risk.SAFE),)

    @property
    def risk(self) -> str:
        """The label of the worst risk."""
        return self.risks[0].label

    @property
    def causes(self) -> tuple[Property, ...]:
        """The properties that cannot be changed in place."""
        return tuple(p for p in self.properties if p.replaces)

    @property
    def rank(self) -> tuple[int, int, str, str]:
        """For sorting: the worst first, then what removes, then by name."""
        return (risk.LABELS.index(self.risk), ORDER.index(self.op), self.name, self.type)


@dataclass(frozen=True)
class Violation:
    """What a policy says about a resource (a name, empty for the whole stack); ``level`` is the engine's word."""

    policy: str
    pack: str
    level: str
    message: str
    resource: str = ""

    @property
    def refuses(self) -> bool:
        """Whether `up` would refuse."""
        return self.level == "mandatory"


@dataclass(frozen=True)
class Preview:
    """What `up` would change in one stack; the changes in their order of rank."""

    stack: str
    changes: tuple[Change, ...] = ()
    same: int = 0
    violations: tuple[Violation, ...] = ()
    failed: bool = False  # it could not be computed

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each action."""
        counted = Counter(change.op for change in self.changes)
        return {op: counted[op] for op in ACTIONS}

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.changes and not self.violations

    @property
    def risk(self) -> str:
        """The worst label."""
        return risk.worst(change.risk for change in self.changes)


def collect(events: Iterable[Mapping[str, Any]], tracker: Tracker) -> list[Change]:
    """The changes of a stream of events, sorted by rank; the tracker takes in everything else."""

    def followed() -> Iterable[Mapping[str, Any]]:
        for event in events:
            tracker(event)
            yield event

    world = steps.read(followed())
    return sorted((change(step, world) for step in world.steps if step.op in ACTIONS), key=lambda one: one.rank)


def change(step: Step, world: steps.World) -> Change:
    """A step with its cause and its risks."""
    return Change(
        step.op, step.type, step.name, step.urn, step.properties, cause(step, world), risk.assess(step, world)
    )


def cause(step: Step, world: steps.World) -> str:
    """Why something is deleted or replaced; empty for what only changes or is new."""
    if step.op == "delete":
        stays = any(one.urn == step.urn and one.op != "delete" for one in world.steps)
        return LEFT_OVER if stays else GONE
    if step.op != "replace":
        return ""
    if step.tainted:
        return MARKED
    paths = [p.path for p in step.properties if p.replaces] or list(step.keys)
    return ", ".join(paths) or DEPENDS


def violations(found: Iterable[Mapping[str, Any]]) -> tuple[Violation, ...]:
    """The policy events of a stream, each once, those that refuse first."""
    rows = dict.fromkeys(
        Violation(
            str(one.get("policyName", "")),
            str(one.get("policyPackName", "")),
            str(one.get("enforcementLevel", "")),
            str(one.get("message", "")).strip(),
            name_of(str(one.get("resourceUrn", ""))),
        )
        for one in found
    )
    return tuple(sorted(rows, key=lambda one: (not one.refuses, one.policy, one.resource, one.message)))


def text(shown: Any) -> str:
    """A value on one line of at most ``LONGEST`` characters."""
    if shown is ABSENT:
        return "(none)"
    line = shown if isinstance(shown, str) else json.dumps(shown, sort_keys=True)
    line = line.replace("\n", "\\n")
    return line if len(line) <= LONGEST else line[: LONGEST - 4] + " ..."


def document(preview: Preview) -> dict[str, Any]:
    """The preview as ``docs/schemas/preview.schema.json`` has it."""
    return {
        "stack": preview.stack,
        "risk": preview.risk,
        "changes": {**preview.counts, "same": preview.same},
        "steps": [
            {
                "op": one.op,
                "type": one.type,
                "name": one.name,
                "urn": one.urn,
                "risk": one.risk,
                "risks": [asdict(each) for each in one.risks],
                "cause": one.cause,
                "properties": [asdict(each) for each in one.properties],
            }
            for one in preview.changes
        ],
        "policies": [asdict(one) for one in preview.violations],
    }


def parse(content: str, file: str) -> Preview:
    """A preview from the text of its document; a Failure names the file it came from."""
    try:
        found = json.loads(content)
        changes = [
            Change(
                *(str(one[key]) for key in ("op", "type", "name", "urn")),
                properties=tuple(Property(**each) for each in one["properties"]),
                cause=str(one["cause"]),
                risks=tuple(Risk(each["label"], str(each["why"])) for each in one["risks"]),
            )
            for one in found["steps"]
        ]
        said = tuple(Violation(**{key: str(text) for key, text in one.items()}) for one in found["policies"])
        ranked = tuple(sorted(changes, key=lambda one: one.rank))
        return Preview(str(found["stack"]), ranked, int(found["changes"]["same"]), said)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Failure(
            f"{file} is no preview",
            f"{type(error).__name__}: {error}; see docs/schemas/preview.schema.json",
            f"write it with `./nexus preview STACK --json > {file}`",
            BAD_INPUT,
        ) from None
