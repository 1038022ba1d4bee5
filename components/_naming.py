"""Physical names: one pure function each, with the stack's name in them, so that environments share a host."""

from __future__ import annotations

import re

#: Lower case as Docker's network aliases and DNS labels want it; short enough for a DNS label (63) with the rest.
STACK_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,23}")


def check_stack(stack: str) -> str:
    """The stack's name, or ValueError with the rule."""
    if not STACK_PATTERN.fullmatch(stack):
        raise ValueError(f"stack name {stack!r}: must be 1-24 of a-z, 0-9 and -, starting with a letter")
    return stack


def network(stack: str) -> str:
    """The Docker network that a stack's containers share."""
    return f"nexus-{stack}"


def physical(stack: str, name: str) -> str:
    """The Docker name of a stack's container or volume."""
    return f"nexus-{stack}-{name}"


def versioned(stack: str, name: str, digest: str) -> str:
    """The name of one content of something that cannot be changed, such as a Swarm secret: 64 characters at most."""
    return f"{physical(stack, name)[: 63 - len(digest)]}-{digest}"


def data_node(stack: str) -> str:
    """The label of the swarm's node that has the stack's volumes."""
    return f"nexus.data.{stack}"
