"""The labels by which a stack's containers, networks and volumes are found again."""

from __future__ import annotations

STACK, SERVICE, KIND, STAND_IN = "nexus.stack", "nexus.service", "nexus.kind", "nexus.stand-in"
#: Changes with a container's files, so that it is made again with them.
FILES_DIGEST = "nexus.files"
#: Of a Swarm secret: the file it is in its container.
FILE = "nexus.file"
#: Of a Swarm service: a digest of what it is made from, by which an update that was taken back is told from one that
#: went through.
VERSION = "nexus.version"


def labels(stack: str, service: str, *, kind: str = "service", stand_in: bool = False) -> dict[str, str]:
    """Labels of one object; ``kind`` is ``service`` for the counted 32 and ``helper`` for what serves them."""
    return {STACK: stack, SERVICE: service, KIND: kind, STAND_IN: str(stand_in).lower()}
