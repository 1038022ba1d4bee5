"""The wiring of discovery: where services find each other."""

from __future__ import annotations

import pulumi

from components.consul import Consul, ConsulSpec
from components.workload import ServerArgs
from infra import images
from infra.entry import Service
from infra.platform import Platform

MONITOR_IMAGE = "consul-esm"


def consul(platform: Platform, entry: Service) -> Consul:
    """Consul and its monitor."""
    from components.consul_access import ConsulMonitor, MonitorArgs, MonitorSpec  # noqa: PLC0415  brings the SDK along

    spec = ConsulSpec(
        stack=platform.stack,
        contract=images.contract("consul"),
        name=entry.name,
        memory_mib=entry.memory,
        port=platform.port(entry, "http"),
    )
    registry = Consul(entry.name, spec, ServerArgs(**platform.runtime(entry.image)))
    platform.made[entry.name] = registry  # the provider looks for it there
    ConsulMonitor(
        MONITOR_IMAGE,
        MonitorSpec(
            stack=platform.stack,
            contract=images.contract(MONITOR_IMAGE),
            stand_in=platform.image_spec(MONITOR_IMAGE).stand_in,
        ),
        MonitorArgs(**platform.runtime(MONITOR_IMAGE), registry=registry),
        pulumi.ResourceOptions(providers=[platform.consul_provider]),
    )
    return registry


def token(platform: Platform, name: str, rules: str) -> pulumi.Output[str]:
    """A token of Consul for one purpose, such as the reading of metrics; ``components.consul_access`` has the rules."""
    from components.consul_access import ConsulToken  # noqa: PLC0415

    options = pulumi.ResourceOptions(providers=[platform.consul_provider])
    return ConsulToken(name, rules, platform.find("consul", Consul), options).secret
