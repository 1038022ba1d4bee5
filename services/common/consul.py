"""Consul: where the healthy instances of another service are, and calls to them."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from services.common import http
from services.common.dependency import Dependency, DependencyAwayError, explain
from services.common.lease import Lease
from services.common.settings import ConsulSettings

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

#: Seconds for an answer of Consul's, and of another service's.
TIMEOUT, CALL_TIMEOUT = 2.0, 3.0
#: Seconds for which an answer is used again: short against the 20 s after which a dead instance leaves it.
FRESH = 3.0
#: Seconds for which the last answer is used when Consul is away.
STALE = 300.0
#: Instances that one call tries.
TRIES = 3


@dataclass(frozen=True, slots=True)
class Instance:
    """One healthy instance."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """Return its base address."""
        return f"http://{self.address}:{self.port}"


class Consul(Dependency):
    """Finds other services for this one."""

    name = "consul"

    def __init__(self, settings: ConsulSettings, service: str, lease: Lease | None = None) -> None:
        super().__init__()
        self._service, self._lease = service, lease
        self._http = http.client(settings.address, TIMEOUT)
        self._others = http.client("", CALL_TIMEOUT)
        self._known: dict[str, tuple[float, list[Instance]]] = {}
        self._turn = count()

    async def instances(self, service: str) -> list[Instance]:
        """Return the instances whose checks pass, seconds old at most while Consul answers."""
        read, known = self._known.get(service, (float("-inf"), []))
        if time.monotonic() - read < FRESH:
            return known
        try:
            known = await self._ask(service)
        except DependencyAwayError:
            if time.monotonic() - read > STALE:
                raise
            return known
        self._known[service] = (time.monotonic(), known)
        return known

    async def call(self, service: str, method: str, path: str, **request: Any) -> httpx.Response:
        """Call an instance of ``service``, another one if it does not answer; each in turn.

        Give only what may be repeated. Raises ``DependencyAwayError`` named after the service.
        """
        import httpx  # noqa: PLC0415 - loaded with the client

        reason = "no healthy instance in Consul"
        for _ in range(TRIES):
            instances = await self.instances(service)
            if not instances:
                break
            instance = instances[next(self._turn) % len(instances)]
            try:
                return await self._others.request(method, instance.url + path, headers=http.passed_on(), **request)
            except httpx.HTTPError as error:
                reason = f"{instance.address}: {explain(error)}"
                self._known[service] = (time.monotonic(), [other for other in instances if other != instance])
        self._known.pop(service, None)
        raise DependencyAwayError(service, reason)

    async def ping(self) -> None:
        """Ask for this service's own instances, with the token it has."""
        await self._ask(self._service)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        await self._others.aclose()

    def connections(self) -> dict[str, int]:
        """Return nothing: requests are few and short."""
        return {}

    async def _ask(self, service: str) -> list[Instance]:
        answer = await self._get(service)
        if answer.status_code in (401, 403) and self._lease is not None:  # the token was taken back
            await self._lease.replace()
            answer = await self._get(service)
        if answer.status_code != 200:
            raise DependencyAwayError(self.name, f"{answer.status_code} {answer.text[:200]}")
        return [
            Instance(entry["Service"]["Address"] or entry["Node"]["Address"], entry["Service"]["Port"])
            for entry in answer.json()
        ]

    async def _get(self, service: str) -> httpx.Response:
        import httpx  # noqa: PLC0415 - loaded with the client

        headers = {"X-Consul-Token": (await self._lease.data())["token"]} if self._lease is not None else {}
        try:
            return await self._http.get(f"/v1/health/service/{service}?passing=true&stale", headers=headers)
        except httpx.HTTPError as error:
            self.doubt()
            raise DependencyAwayError(self.name, explain(error)) from error
