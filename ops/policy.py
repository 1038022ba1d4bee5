"""The policy pack in previews and updates: handed to Pulumi, and what it found said to people (``docs/policy.md``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ops import console
from ops.errors import BAD_INPUT, FAILED, Failure
from ops.events import name_of

if TYPE_CHECKING:
    from pathlib import Path

    from ops.changes import Violation
    from ops.workspace import Workspace

FOLDER = "policy"
#: What the engine says of a violation that stops the run; one with an exception is `advisory`.
STOPS = "mandatory"

#: A ``policyEvent`` of the engine: ``policyName``, ``resourceUrn``, ``message``, ``enforcementLevel``, ``severity``.
Event = Mapping[str, Any]


def folder(root: Path) -> Path:
    """Where the pack is."""
    return root / FOLDER


def arguments(workspace: Workspace) -> list[str]:
    """What `pulumi preview` and `pulumi up` get; raises Failure when the exceptions' file is not usable."""
    from policy import exceptions, rules

    pack = folder(workspace.root)
    try:
        exceptions.load(rules.NAMES, pack / "exceptions.yaml")
    except (exceptions.InvalidError, OSError) as error:
        raise Failure(
            "the exceptions from the policies are not usable", str(error), f"correct {exceptions.NAME}", BAD_INPUT
        ) from None
    return ["--policy-pack", str(pack)]


def broken(found: Iterable[Event]) -> list[Event]:
    """The violations that stop a run."""
    return [event for event in found if event["enforcementLevel"] == STOPS]


def failure(found: Iterable[Event]) -> Failure | None:
    """What a run ends with that the policies stopped: each violation, and each remedy once. None without violations."""
    from policy import exceptions, rules

    stopping = broken(found)
    if not stopping:
        return None
    remedies = {rule.name: rule.remedy for rule in rules.ALL}
    names = sorted({event["policyName"] for event in stopping})
    lines = [
        f"{event['policyName']}: {name_of(event.get('resourceUrn', ''))}: {said(event, remedies)}" for event in stopping
    ]
    return Failure(
        f"{len(stopping)} violation{'s' * (len(stopping) != 1)} of {', '.join(names)}",
        "\n".join(console.fold(lines)),
        "\n".join(
            [
                *(f"{name}: {remedies[name]}" for name in names if name in remedies),
                f"what has to stay for now gets an exception, with a reason and a last day, in {exceptions.NAME}",
            ]
        ),
        FAILED,
    )


def said(event: Event, remedies: Mapping[str, str]) -> str:
    """The violation's text without its remedy."""
    return event["message"].strip().removesuffix(remedies.get(event["policyName"], "")).rstrip(". ")


def listing(found: Iterable[Violation]) -> list[str]:
    """The exceptions that are in force, a line for each: the policy, how many resources, until when, by whom, why."""
    groups = Counter((one.policy, one.message.partition("; excepted")[2].strip()) for one in found if not one.refuses)
    return [
        f"{name}: {count} resource{'s' * (count != 1)} excepted {why}" for (name, why), count in sorted(groups.items())
    ]
