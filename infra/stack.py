"""The whole environment: every enabled entry, wired in the order in which the kinds depend on each other."""

from __future__ import annotations

import pulumi

from infra import catalog, settings
from infra.catalog import Catalog, Service
from infra.errors import ConfigError
from infra.platform import Platform
from infra.wiring import BUILDERS


def deploy() -> None:
    """Declare the whole environment of the current stack; raises ConfigError before any resource is declared."""
    stack = pulumi.get_stack()
    chosen = settings.from_pulumi(stack)
    platform = Platform(stack=stack, settings=chosen, catalog=catalog.load(chosen, stack))
    for entry in ordered(platform.catalog):
        platform.made[entry.name] = BUILDERS[entry.kind](platform, entry)
    pulumi.export("services", {entry.name: str(entry.port) for entry in platform.catalog.enabled})


def ordered(chosen: Catalog) -> list[Service]:
    """The enabled entries in the order of BUILDERS; raises ConfigError for a kind that has no component yet."""
    kinds = list(BUILDERS)
    for entry in chosen.enabled:
        if entry.kind not in BUILDERS:
            raise ConfigError(
                catalog.FILE_NAME, f"{entry.name}.kind", entry.kind, "has no component yet", f"Disable {entry.name}."
            )
    return sorted(chosen.enabled, key=lambda entry: kinds.index(entry.kind))
