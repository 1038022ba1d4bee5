"""What a verb works on: the settings and the catalogue of a stack, checked before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.catalog import Catalog, Service
    from infra.settings import Settings


#: Images of the helpers that a kind of service brings along (migrations and the gateway's agent are in `service`).
HELPER_IMAGES = {"postgres": ("pgbouncer", "service"), "consul": ("consul-esm",), "kong": ("service",)}

#: Images of what runs beside the services because of the engine; the healer is a program of `service`.
ENGINE_IMAGES = {"containers": ("service",), "swarm": ("relay",)}


@dataclass(frozen=True)
class Inputs:
    """A stack's name with its settings and its catalogue."""

    stack: str
    settings: Settings
    catalog: Catalog

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that this stack runs."""
        return self.catalog.enabled

    @property
    def image_names(self) -> list[str]:
        """The images of ``infra/images.yaml`` that this stack needs."""
        from infra import images

        named = {service.image for service in self.services}
        named |= {image for service in self.services for image in HELPER_IMAGES.get(service.kind, ())}
        named |= set(ENGINE_IMAGES.get(self.settings.engine, ()))
        return sorted(named & set(images.load()))

    def image_source(self, found: str, asked: str | None) -> str:
        """Where images come from: asked for on the command line, set for the stack, or what was found possible."""
        if asked in ("upstream", "local"):
            return asked
        return found if self.settings.images == "auto" else self.settings.images


def load(stack: str) -> Inputs:
    """Read and check; raises ``infra.errors.ConfigError`` with file, field, value, rule and remedy."""
    from infra import catalog, settings

    chosen = settings.load(stack)
    return Inputs(stack, chosen, catalog.load(chosen, stack))
