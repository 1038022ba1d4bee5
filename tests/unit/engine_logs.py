"""An engine's client that has logs: of containers that run, stop and start again, and of a swarm's services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from docker.errors import APIError, NotFound

END = object()


def moment(second: float) -> str:
    """A moment of the engine: seconds since noon."""
    whole, nanos = divmod(round(second * 10**9), 10**9)
    return f"2026-01-01T12:{whole // 60:02d}:{whole % 60:02d}.{nanos:09d}Z"


def written(second: float, text: str) -> bytes:
    return f"{moment(second)} {text}\n".encode()


def said(second: float, message: str, service: str = "events", **fields: Any) -> bytes:
    """A line of the project's own format."""
    stamp = moment(second)[:23] + "Z"
    head = {"timestamp": stamp, "level": "info", "service": service, "stack": "dev", "logger": "services.access"}
    return written(second, json.dumps({**head, "message": message, **fields}))


def labels(service: str, stack: str = "dev", **more: str) -> dict[str, str]:
    return {"nexus.stack": stack, "nexus.service": service, **more}


def item(name: str, service: str = "", **more: str) -> dict[str, Any]:
    """A container as it is listed; its id is its name."""
    return {"Id": name, "Names": [f"/nexus-dev-{name}"], "Labels": labels(service or name, **more)}


class Engine:
    """``logs`` are the frames of each container by its id, ``service_logs`` those of services.

    What is put into ``later`` of a container comes to who follows it; END is that it stops.
    """

    def __init__(self, logs: dict[str, list[bytes]] | None = None, services: dict[str, list[bytes]] | None = None):
        self.api = self
        self.kept, self.of_services = dict(logs or {}), dict(services or {})
        self.listed = [item(name) for name in self.kept]
        self.later: dict[str, SimpleQueue[Any]] = {name: SimpleQueue() for name in self.kept}
        self.happening: SimpleQueue[Any] = SimpleQueue()
        self.asked: list[dict[str, Any]] = []
        self.unreadable: set[str] = set()
        self.followed: list[str] = []
        self.most = 0  # how often one container was followed at the same time

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return self.listed

    def services(self, **_: Any) -> list[dict[str, Any]]:
        return [self.inspect_service(name) for name in self.of_services]

    def inspect_service(self, name: str) -> dict[str, Any]:
        if name not in self.of_services:
            raise NotFound("no such service")
        return {"ID": name, "Spec": {"Name": f"nexus-dev-{name}", "Labels": labels(name)}}

    def logs(self, identity: str, **options: Any) -> Iterator[bytes]:
        self.asked.append({"id": identity, **options})
        if identity in self.unreadable:
            response = SimpleNamespace(status_code=501)
            raise APIError("", response=response, explanation="driver does not read")  # type: ignore[arg-type]
        if identity not in self.kept:
            raise NotFound("no such container")
        return self._frames(identity, **options)

    def _frames(self, identity: str, **options: Any) -> Iterator[bytes]:
        frames = self.kept[identity]
        yield from frames if options["tail"] == "all" else frames[-options["tail"] :]
        if options["follow"]:
            self.followed.append(identity)
            self.most = max(self.most, self.followed.count(identity))
            while (frame := self.later[identity].get()) is not END:
                self.kept[identity] = [*self.kept[identity], frame]
                yield frame
            self.followed.remove(identity)

    def service_logs(self, identity: str, **options: Any) -> Iterator[bytes]:
        self.asked.append({"id": identity, **options})
        return iter(self.of_services[identity])

    def events(self, **options: Any) -> Iterator[dict[str, Any]]:
        self.asked.append({"events": options})
        while (event := self.happening.get()) is not END:
            yield event

    def start(self, name: str, stack: str = "dev", service: str = "", **more: str) -> None:
        """Tell that a container has started; one that is new is known from now on."""
        self.kept.setdefault(name, [])
        self.later.setdefault(name, SimpleQueue())
        attributes = {"name": f"nexus-{stack}-{name}", **labels(service or name, stack, **more)}
        self.happening.put({"Type": "container", "Action": "start", "Actor": {"ID": name, "Attributes": attributes}})
