"""The other two who say whether a service is well: Consul by the checks it has run, the gateway by its targets.

They are asked with what their own containers hold, so that neither Pulumi nor its state is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient

#: Seconds for one answer; both run beside this on the same host.
TIMEOUT = 5.0
PASSING, HEALTHY = "passing", "HEALTHY"
ABSENT, SILENT = "absent", "unknown"
#: The container's files that say how its server is asked: a token that only reads, and the Admin API's password.
CONSUL_TOKEN, KONG_PASSWORD = "/run/secrets/reader.token", "/run/secrets/admin.htpasswd"


@dataclass(frozen=True)
class Verdicts:
    """What one witness says of each service by name; ``asked`` is False when the environment has no such witness."""

    by_service: Mapping[str, str] = field(default_factory=dict)
    asked: bool = True
    silent: str = ""

    def of(self, service: str) -> str | None:
        """The verdict: ``absent`` for a service it does not know, ``unknown`` when it does not answer."""
        if not self.asked:
            return None
        return SILENT if self.silent else self.by_service.get(service, ABSENT)


NOBODY = Verdicts(asked=False)


@lru_cache(maxsize=8)
def secret(client: DockerClient, container: str, path: str) -> str:
    """A file of a container, as its own user reads it; raises OSError when that cannot be.

    It is read once: who looks again and again with one client would otherwise start a process in the container for
    each look.
    """
    from docker.errors import APIError

    with suppress(APIError):
        code, output = client.containers.get(container).exec_run(["cat", path])
        if code == 0:
            return bytes(output).decode()  # type: ignore[arg-type]
    raise OSError(f"{path} of {container} cannot be read")


def consul_token(client: DockerClient, container: str) -> dict[str, str]:
    """The header by which Consul tells what it lists; raises OSError and ValueError."""
    return {"X-Consul-Token": json.loads(secret(client, container, CONSUL_TOKEN))["SecretID"]}


def gateway_login(client: DockerClient, container: str) -> tuple[str, str]:
    """User and password of Kong's Admin API, from the line that nginx reads; raises OSError."""
    user, _, kept = secret(client, container, KONG_PASSWORD).strip().partition(":")
    return user, kept.removeprefix("{PLAIN}")


def consul(client: DockerClient, container: str, address: str) -> Verdicts:
    """For each service ``passing``, or the state of its worst check (warning, critical); Consul itself by its node."""
    import httpx

    def ask() -> Verdicts:
        url, headers = f"{address}/v1/health/state/any", consul_token(client, container)
        checks = httpx.get(url, headers=headers, timeout=TIMEOUT, trust_env=False).raise_for_status().json()
        states: dict[str, set[str]] = {}
        for check in checks:
            name = "consul" if check["CheckID"] == "serfHealth" else check["ServiceName"]
            states.setdefault(name, set()).add(check["Status"])
        return Verdicts({name: worst(found, PASSING) for name, found in states.items()})

    return _answer(ask)


def gateway(client: DockerClient, container: str, address: str, services: Iterable[str]) -> Verdicts:
    """For each service with an upstream ``HEALTHY``, or the worst of Kong's words for its targets."""
    import httpx

    def ask() -> Verdicts:
        login = gateway_login(client, container)

        def one(service: str) -> tuple[str, str]:
            answer = asked.get(f"/upstreams/{service}.upstream/health")
            if answer.status_code == httpx.codes.NOT_FOUND:
                return service, ABSENT
            return service, worst({target["health"] for target in answer.raise_for_status().json()["data"]}, HEALTHY)

        with (
            httpx.Client(base_url=address, auth=login, timeout=TIMEOUT, trust_env=False) as asked,
            ThreadPoolExecutor(8) as pool,
        ):
            return Verdicts(dict(pool.map(one, services)))

    return _answer(ask)


def _answer(ask: Callable[[], Verdicts]) -> Verdicts:
    import httpx

    try:
        return ask()
    except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        secret.cache_clear()  # it may have been made anew
        return Verdicts(silent=str(error) or type(error).__name__)


def worst(found: set[str], well: str) -> str:
    """The one word for several instances: well only when all are, and there is one."""
    return min(found - {well}, default=well) if found else ABSENT


def agrees(verdict: str | None, well: str) -> bool:
    """Whether a witness has nothing against a service."""
    return verdict in (None, well)
