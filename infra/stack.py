"""The whole environment: every enabled entry, wired in the order in which the kinds depend on each other."""

from __future__ import annotations

import pulumi

from components.certificates import Certificates
from components.healer import Healer, HealerSpec
from components.workload import ServerArgs
from infra import catalog, images, protection, settings
from infra.catalog import Catalog
from infra.entry import Service
from infra.errors import ConfigError
from infra.platform import Platform
from infra.wiring import BUILDERS, certificates, discovery, secrets

HEALER = "healer"


def deploy() -> None:
    """Declare the whole environment of the current stack; raises ConfigError before any resource is declared."""
    stack = pulumi.get_stack()
    chosen = settings.from_pulumi(stack)
    platform = Platform(stack=stack, settings=chosen, catalog=catalog.load(chosen, stack))
    protection.apply(chosen.protect)
    for entry in ordered(platform.catalog):
        platform.made[entry.name] = BUILDERS[entry.kind](platform, entry)
    if "consul" in platform.made:
        for entry in platform.catalog.enabled:
            if entry.kind in discovery.ASKED:
                discovery.announce(platform, entry)
    if chosen.engine == "containers":  # a swarm replaces unhealthy tasks by itself
        spec = HealerSpec(stack=stack, contract=images.contract(HEALER))
        Healer(HEALER, spec, ServerArgs(**platform.runtime(spec.contract.image or HEALER)))
    export(platform)


def export(platform: Platform) -> None:
    """The stack's outputs: where the services are, where users go in, and the passwords they first sign in with."""
    pulumi.export("services", {entry.name: str(entry.port) for entry in platform.catalog.enabled})
    pulumi.export("url", platform.public_url)
    if "vault" in platform.made:
        pulumi.export("passwords", secrets.accounts(platform).passwords)
        pulumi.export("rootCertificate", platform.find(certificates.CERTIFICATES, Certificates).root)


def ordered(chosen: Catalog) -> list[Service]:
    """The enabled entries in the order of BUILDERS; raises ConfigError for a kind that has no component yet."""
    kinds = list(BUILDERS)
    for entry in chosen.enabled:
        if entry.kind not in BUILDERS:
            raise ConfigError(
                catalog.FILE_NAME, f"{entry.name}.kind", entry.kind, "has no component", f"Known: {', '.join(kinds)}."
            )
    return sorted(chosen.enabled, key=lambda entry: kinds.index(entry.kind))
