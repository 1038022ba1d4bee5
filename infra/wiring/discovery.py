"""The wiring of discovery: where services find each other."""

from __future__ import annotations

from components.consul import Consul, ConsulArgs, ConsulSpec
from infra import images
from infra.catalog import Service
from infra.platform import Platform

MONITOR_IMAGE = "consul-esm"


def consul(platform: Platform, entry: Service) -> Consul:
    """Consul and its monitor."""
    spec = ConsulSpec(
        stack=platform.stack,
        contract=images.contract("consul"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "http"),
        monitor=images.contract(MONITOR_IMAGE),
        monitor_stand_in=platform.image_spec(MONITOR_IMAGE).stand_in,
    )
    args = ConsulArgs(**platform.runtime(entry.image), monitor_image=platform.image(MONITOR_IMAGE).id)
    return Consul(entry.name, spec, args)
