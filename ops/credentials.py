"""What a stack's state keeps secret, for verbs that ask its servers: in memory alone, for as long as it is used.

A server is asked as the program itself asks it: with the address and the token of the provider that the state has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops import inputs, workspace
from ops import source as sources
from ops.errors import Failure
from ops.workspace import Workspace

if TYPE_CHECKING:
    import httpx
    import hvac

#: How the engine writes a secret that it was asked to show: with this mark, its JSON beside it.
MARK, SECRET, SHOWN = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270", "plaintext"
GENERATED = "nexus:index:GeneratedSecret"
TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Access:
    """Where a server is asked, and the token to show; its text never has the token."""

    address: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Secrets:
    """A stack's state with its secrets open. Its text has nothing of it."""

    stack: str
    resources: tuple[Mapping[str, Any], ...] = field(repr=False)

    def generated(self, name: str) -> str:
        """The value of the generated secret that the program calls ``name``."""
        return str(self._outputs(GENERATED, name)["value"])

    def access(self, package: str) -> Access:
        """How the stack's own provider of ``package`` asks its server."""
        known = self._outputs(f"pulumi:providers:{package}", package)
        address = str(known["address"])
        return Access(address if "://" in address else f"http://{address}", str(known["token"]))

    def _outputs(self, kind: str, name: str) -> Mapping[str, Any]:
        for resource in self.resources:
            if resource["type"] == kind and resource["urn"].endswith(f"::{name}"):
                return opened({**(resource.get("inputs") or {}), **(resource.get("outputs") or {})})
        raise Failure(
            f"the stack {self.stack} has no {name!r}",
            f"its state has no resource of type {kind} with that name",
            f"Run `./nexus up {self.stack}` first; it may have been stopped half-way.",
        )


def opened(value: Any) -> Any:
    """A value of the state without the engine's marks of secrecy."""
    if isinstance(value, dict):
        if value.get(MARK) == SECRET:
            return json.loads(value[SHOWN])
        return {key: opened(item) for key, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def of(space: Workspace) -> Secrets:
    """The secrets of a stack. They come through a pipe, so that they are in no argv, file or environment."""
    if not space.exists():
        raise Failure(
            f"there is no stack {space.stack}",
            "the state's backend does not know it",
            f"Run `./nexus up {space.stack}`.",
        )
    return Secrets(space.stack, tuple((shown(space).get("deployment") or {}).get("resources") or ()))


def shown(space: Workspace) -> dict[str, Any]:
    """The state with its secrets open, marked as such (``opened`` takes the marks away)."""
    return json.loads(space.run("stack", "export", "--show-secrets"))


def load(stack: str, source: str | None = None) -> Secrets:
    """The secrets of a stack by its name; makes nothing that the machine lacks."""
    from ops import pulumi_cli

    decision = sources.decide(source)
    toolchain = pulumi_cli.find(decision.source)
    if toolchain is None:
        raise Failure(
            "Pulumi is not set up on this machine", "the stack's state is read with it", f"Run `./nexus up {stack}`."
        )
    return of(workspace.select(stack, inputs.load(stack).image_source(decision.source, source), toolchain))


@contextmanager
def vault(stack: str, source: str | None = None) -> Iterator[hvac.Client]:
    """A client of the stack's Vault, with the stack's own token."""
    import hvac

    access = load(stack, source).access("vault")
    client = hvac.Client(url=access.address, token=access.token, timeout=TIMEOUT)
    client.session.trust_env = False  # the server is on this machine: a proxy of the environment does not lead there
    try:
        yield client
    finally:
        client.adapter.close()


@contextmanager
def consul(stack: str, source: str | None = None) -> Iterator[httpx.Client]:
    """A client of the stack's Consul, with the management token: ``client.get("/v1/health/state/any")``."""
    import httpx

    access = load(stack, source).access("consul")
    headers = {"X-Consul-Token": access.token}
    with httpx.Client(base_url=access.address, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        yield client
