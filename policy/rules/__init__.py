"""Every rule, a module for each domain. ``docs/policy.md`` has the table."""

from __future__ import annotations

from policy.model import Rule
from policy.rules import containers, data, gateway, images, network, secrecy

ALL: tuple[Rule, ...] = (
    *network.RULES,
    *gateway.RULES,
    *images.RULES,
    *containers.RULES,
    *data.RULES,
    *secrecy.RULES,
)
NAMES = frozenset(rule.name for rule in ALL)
