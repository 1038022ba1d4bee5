"""A container that is there for a while: the end of one, and of one that stood in for another."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from engine import connect

if TYPE_CHECKING:
    from docker import DockerClient

#: Seconds a container gets to finish what it has begun.
STOP_SECONDS = 30
#: Seconds after which the gateway sends requests to whom it should: it believes a name for two, and asks a target that
#: could not be reached again every two.
NOTICED_AFTER = 5.0


def discard(client: DockerClient, name: str) -> None:
    """Remove the container of that name, running or not, if there is one."""
    from docker.errors import NotFound  # noqa: PLC0415

    with suppress(NotFound):
        client.containers.get(name).remove(force=True, v=True)


def relieve(name: str) -> None:
    """Let the container go that stood in for another, which others know by now."""
    from docker.errors import NotFound  # noqa: PLC0415

    with connect(STOP_SECONDS + 10) as client, suppress(NotFound):
        container = client.containers.get(name)
        time.sleep(NOTICED_AFTER)
        container.stop(timeout=STOP_SECONDS)
        discard(client, name)
