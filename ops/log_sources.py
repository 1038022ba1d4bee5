"""Whose logs the engine has of a stack, and how they are read: of containers, and of a swarm's services."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components._labels import SERVICE, STACK
from components._naming import physical
from ops import console, objects, since
from ops.log_lines import Line

if TYPE_CHECKING:
    from docker import DockerClient

ALL = "all"


@dataclass(frozen=True)
class Source:
    """A container, or a service of the swarm with all its tasks; ``name`` is what people call it."""

    id: str
    service: str
    name: str
    swarm: bool = False


def find(client: DockerClient, stack: str) -> list[Source]:
    """The sources of a stack, running or not. A task's container is read with its service, on whatever node it is."""
    label = {"label": f"{STACK}={stack}"}
    found = [of_service(item) for item in objects.swarm_list(client, "services", label)]
    for item in client.api.containers(all=True, filters=label):
        labels = item.get("Labels") or {}
        if objects.TASK not in labels:
            found.append(of_container(item["Id"], item["Names"][0], labels))
    return found


def of_container(identity: str, name: str, labels: dict[str, str]) -> Source:
    """The source that a container is."""
    prefix = physical(labels[STACK], "")
    return Source(identity, labels.get(SERVICE, ""), name.lstrip("/").removeprefix(prefix))


def of_service(item: dict[str, Any]) -> Source:
    """The source that a service of the swarm is."""
    service = (item["Spec"].get("Labels") or {}).get(SERVICE, "")
    return Source(item["ID"], service, service, swarm=True)


def lines(
    client: DockerClient, source: Source, *, after: str = "", tail: int | None = None, follow: bool = False
) -> Iterator[Line]:
    """A source's lines later than a moment (``since.stamp``), the last ``tail`` of them, as they come.

    ``follow``: until it stops. A source that is gone has none; one whose log cannot be read has none, and it is said.
    """
    from docker.errors import APIError, NotFound

    options: dict[str, Any] = {"stdout": True, "stderr": True, "timestamps": True, "follow": follow}
    options["tail"] = ALL if tail is None else tail
    if after:
        options["since"] = max(1, int(since.read(after).timestamp()))  # the part of a second is compared below
    try:
        if source.swarm:
            frames = client.api.service_logs(source.id, is_tty=False, **options)
        else:
            frames = client.api.logs(source.id, stream=True, **options)
        for text in whole(frames):
            moment, _, said = text.partition(" ")
            if moment > after:
                yield Line(moment, source.service, source.name, said)
    except NotFound:
        return
    except APIError as error:
        console.say(f"{source.name}: its log cannot be read: {error.explanation or error}")


def whole(frames: Iterable[bytes]) -> Iterator[str]:
    """Complete lines, each with its moment. The engine gives one above 16 KiB in parts that have a moment each."""
    rest = b""
    for frame in frames:
        *complete, rest = (rest + frame.partition(b" ")[2] if rest else frame).split(b"\n")
        yield from (line.decode(errors="replace") for line in complete)
    if rest:
        yield rest.decode(errors="replace")


def past(
    client: DockerClient,
    sources: Iterable[Source],
    *,
    after: str = "",
    tail: int | None = None,
    note: Callable[[Source, Line], None] = lambda *_: None,
) -> Iterator[Line]:
    """What was logged until now, by time; of each source what ``lines`` gives. ``note`` is told of every line."""

    def one(source: Source) -> Iterator[Line]:
        for line in lines(client, source, after=after, tail=tail):
            note(source, line)
            yield line

    # A container's log is in order; a service's comes from many nodes, as each of them sends it.
    ordered = [sorted(one(s), key=lambda line: line.moment) if s.swarm else one(s) for s in sources]
    return heapq.merge(*ordered, key=lambda line: line.moment)
