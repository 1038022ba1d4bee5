"""What holds data is not deleted by mistake."""

from __future__ import annotations

from collections.abc import Iterator

from policy.model import PRODUCTION, Resource, Rule

#: What a later update could not make again (``infra/protection.py``).
HOLDING_DATA = frozenset({"docker:index/volume:Volume"})


def protected(resource: Resource) -> Iterator[str]:
    """By Pulumi's own option."""
    if not resource.protect:
        yield "holds data and is not protected: one wrong setting would delete it"


RULES = (
    Rule(
        name="protected-data",
        description="In production Pulumi refuses to delete what holds data.",
        remedy="Set `nexus:protect: true` in Pulumi.STACK.yaml.",
        severity="critical",
        scope=PRODUCTION,
        types=HOLDING_DATA,
        check=protected,
    ),
)
