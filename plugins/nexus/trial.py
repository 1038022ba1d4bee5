"""``nexus:index:Trial``: a new version of a workload proves itself beside the running one, before that is replaced."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import tasks
from engine import connect
from execute import TAIL_LINES, repeat
from job import settings
from kind import Field, Kind, Properties, between, plain
from pulumi.provider.experimental.property_value import PropertyValue
from standby import NOTICED_AFTER, STOP_SECONDS, discard

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


class TrialFailedError(Exception):
    """The new version did not get well; the text names the image, what its checks said last and the log's end."""


class Trial(Kind):
    """What replaces the running containers waits for its id, so a version that fails here replaces none of them.

    The container has no name that others know and no host port. When it has shown what it can do, it starts again as
    one more instance behind the name ``joins``, and answers while the others are replaced; the gate of the last of them
    lets it go (``Exec``, ``relieves``). Where nothing runs yet, there is nothing to protect, and nothing is tried.

    Inputs: ``version`` (another one is tried), ``container`` (its name), ``running`` (those to be replaced), ``joins``
    (a name of the network), ``image``, ``labels``, ``network``, ``user`` (``uid:gid``), ``command``, ``env``,
    ``volume`` and ``mount`` (files it reads, and where), ``tmpfs``, ``memory`` in MiB, ``checks`` (commands that must
    all succeed, one after the other), ``timeout`` of all of them in seconds.
    """

    fields: ClassVar = {
        "version": Field(str, required=True),
        "container": Field(str, required=True),
        "running": Field((list, tuple), required=True, compared=False),
        "joins": Field(str, required=True, compared=False),
        "image": Field(str, required=True, compared=False),
        "labels": Field(Mapping, required=True, compared=False),
        "network": Field(str, required=True, compared=False),
        "user": Field(str, required=True, compared=False),
        "command": Field((list, tuple), compared=False),
        "env": Field(Mapping, compared=False),
        "volume": Field(str, compared=False),
        "mount": Field(str, compared=False),
        "tmpfs": Field(Mapping, compared=False),
        "memory": Field(float, required=True, compared=False, check=between(6, 1 << 20, "MiB")),
        "checks": Field(
            (list, tuple), required=True, compared=False, check=lambda value: None if value else "must name a command"
        ),
        "timeout": Field(float, default=120.0, compared=False, check=between(1, 3600, "seconds")),
    }

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Try the version; raises ``TrialFailedError``."""
        wanted = {name: plain(value) for name, value in inputs.items()}
        with connect(wanted["timeout"] + STOP_SECONDS) as client:
            discard(client, wanted["container"])
            if any(runs(client, name) for name in wanted["running"]):
                prove(client, wanted)
        return {}

    def delete(self, state: Properties) -> None:
        """Remove what a killed run may have left."""
        with connect() as client:
            discard(client, str(plain(state["container"])))


def runs(client: DockerClient, name: str) -> bool:
    """Whether a container of that name is there and running."""
    from docker.errors import NotFound  # noqa: PLC0415

    with suppress(NotFound):
        return client.containers.get(name).status == "running"
    return False


def prove(client: DockerClient, wanted: Mapping[str, Any]) -> None:
    """Run it, unknown to others, until it is well; then again for others. Nothing is left of one that fails."""
    try:
        started(client, wanted).stop(timeout=STOP_SECONDS)
        discard(client, wanted["container"])
        started(client, wanted, aliases=[wanted["joins"]])
    except BaseException:
        discard(client, wanted["container"])
        raise
    time.sleep(NOTICED_AFTER)


def started(client: DockerClient, wanted: Mapping[str, Any], aliases: list[str] | None = None) -> Container:
    """The container, once all checks have succeeded; raises ``TrialFailedError``."""
    network = {wanted["network"]: client.api.create_endpoint_config(aliases=aliases)} if aliases else None
    container = client.containers.create(wanted["image"], networking_config=network, **settings(wanted))

    def alive() -> Container:
        container.reload()
        if container.status != "running":
            raise tasks.HopelessError(f"it ended with {container.attrs['State']['ExitCode']} before it was well")
        return container

    deadline = time.monotonic() + wanted["timeout"]
    container.start()
    try:
        for command in wanted["checks"]:
            last = repeat(alive, command, "", max(1.0, deadline - time.monotonic()))
            if last is not None:
                asked = f"asked with: {' '.join(command)[:200]}\nit answered: {_tail(last)}"
                raise TrialFailedError(describe(container, wanted, f"not well after {wanted['timeout']:.0f} s", asked))
    except tasks.HopelessError as error:
        raise TrialFailedError(describe(container, wanted, str(error), "")) from error
    return container


def describe(container: Container, wanted: Mapping[str, Any], how: str, asked: str) -> str:
    """What a person needs to go on."""
    container.reload()
    if container.attrs["State"]["OOMKilled"]:
        how += f" (out of memory: its limit is {int(wanted['memory'])} MiB)"
    tags = container.image.tags if container.image else []
    log = _tail(container.logs(tail=TAIL_LINES).decode(errors="replace")) or "(nothing)"
    lines = (
        f"the new version did not get well beside {', '.join(wanted['running'])}; nothing was replaced: {how}",
        f"image: {', '.join(tags) or wanted['image']}",
        asked,
        f"its log ends with:\n{log}",
    )
    return "\n".join(line for line in lines if line)


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])
