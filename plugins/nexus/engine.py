"""The Docker engine, found as the Docker client finds it (DOCKER_HOST ...)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient


@contextmanager
def connect(timeout: float = 60) -> Iterator[DockerClient]:
    """A client whose answers may take ``timeout`` seconds. Loaded here, as a preview never needs it."""
    import docker  # noqa: PLC0415

    client = docker.from_env(timeout=int(timeout))
    try:
        yield client
    finally:
        client.close()
