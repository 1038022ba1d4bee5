"""One environment while it is being declared: what later parts need of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import pulumi

from components.consul import Consul
from components.image import Image, ImageSpec
from components.kong import ADMIN_USER, Kong
from components.network import Network, Overlay
from components.vault import Vault
from components.workload import ContainerEngine, Engine, Port
from infra import images
from infra.catalog import Catalog, Service
from infra.settings import Rotated, Settings

Made = TypeVar("Made", bound=pulumi.ComponentResource)


@dataclass
class Platform:
    """The stack, what it is declared from, and the components made so far by the names of their entries."""

    stack: str
    settings: Settings
    catalog: Catalog
    made: dict[str, pulumi.ComponentResource] = field(default_factory=dict)
    _images: dict[str, Image] = field(default_factory=dict)

    @cached_property
    def engine(self) -> Engine:
        """What runs the workloads."""
        if self.settings.engine == "containers":
            return ContainerEngine()
        from components.swarm import Relay, SwarmEngine  # noqa: PLC0415  only where it is used

        return SwarmEngine(relay=Relay(image=self.image("relay").id, contract=images.contract("relay")))

    @cached_property
    def network(self) -> Network | Overlay:
        """The stack's network."""
        return (Overlay if self.settings.engine == "swarm" else Network)("network", self.stack)

    def image(self, name: str) -> Image:
        """An image by its name in images.yaml or by reference, declared once."""
        if name not in self._images:
            self._images[name] = Image(name.replace("/", "-"), self.image_spec(name))
        return self._images[name]

    def runnable(self, name: str) -> pulumi.Output[str]:
        """What a workload names its image by: its content, or, in a swarm, what any node can pull it by."""
        image = self.image(name)
        return image.portable if self.settings.engine == "swarm" else image.id

    def image_spec(self, name: str) -> ImageSpec:
        """What an image is in this run: pulled or built, an original or a stand-in."""
        if name not in images.load():
            return ImageSpec(reference=name)
        source = self.settings.source
        reference = images.reference(name, source, self.settings.registry)
        return ImageSpec(reference=reference, stand_in=images.is_stand_in(name, source))

    def shape(self, entry: Service) -> dict[str, Any]:
        """What the spec of every kind begins with."""
        return {
            "stack": self.stack,
            "contract": images.contract(entry.kind),
            "name": entry.name,
            "memory_mib": entry.memory,
            "cpus": entry.cpus,
        }

    def runtime(self, image: str) -> dict[str, Any]:
        """What every server component is made from (``ServerArgs``)."""
        return {"image": self.runnable(image), "network": self.network.id, "engine": self.engine}

    def port(self, service: Service, container: str, role: str = "main") -> Port:
        """A host port of a service, leading to the port of that name in the contract of its kind."""
        bind = self.settings.bind if role.startswith("proxy") else self.settings.admin_bind
        return Port(container=images.contract(service.kind).ports[container], host=service.ports[role], bind=str(bind))

    @property
    def public_url(self) -> str:
        """The gateway's address as its users know it."""
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        gateway = next((entry for entry in self.catalog.enabled if "proxy_tls" in entry.extra_ports), None)
        return f"https://localhost:{gateway.extra_ports['proxy_tls']}" if gateway else ""

    def rotation(self, what: Rotated) -> int:
        """How often something was rotated."""
        return self.settings.rotations.get(what, 0)

    def find(self, name: str, kind: type[Made]) -> Made:
        """A component made before; which there are is checked by the catalogue, so a wrong one is a mistake here."""
        component = self.made[name]
        assert isinstance(component, kind), f"{name} is a {type(component).__name__}"
        return component

    def needing(self, name: str) -> list[Service]:
        """The enabled services that need ``name``."""
        return [service for service in self.catalog.enabled if name in service.needs]

    @cached_property
    def consul_provider(self) -> pulumi.ProviderResource:
        """What is registered in Consul is registered once Consul answers."""
        import pulumi_consul  # noqa: PLC0415  a provider's SDK takes a third of a second: only where it is used

        registry = self.find("consul", Consul)
        return pulumi_consul.Provider("consul", address=registry.address, token=registry.token)

    @cached_property
    def vault_provider(self) -> pulumi.ProviderResource:
        """What is set up in Vault is set up once its keeper has made the stack's token."""
        import pulumi_vault  # noqa: PLC0415

        vault = self.find("vault", Vault)
        return pulumi_vault.Provider("vault", address=vault.address, token=vault.token, skip_child_token=True)

    @cached_property
    def kong_provider(self) -> pulumi.ProviderResource:
        """What is configured in Kong is configured once Kong answers."""
        import pulumi_kong  # noqa: PLC0415

        gateway = self.find("kong", Kong)
        return pulumi_kong.Provider(
            "kong",
            kong_admin_uri=gateway.admin_url,
            kong_admin_username=ADMIN_USER,
            kong_admin_password=gateway.admin_password,
        )
