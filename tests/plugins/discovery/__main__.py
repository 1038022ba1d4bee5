"""Consul, its monitor, and a service of two instances; `conformance:generation` rotates the management token."""

import pulumi
import pulumi_consul

from components import _consul_rules as rules
from components._connections import Endpoint
from components.consul import Consul, ConsulArgs, ConsulSpec
from components.image import Image, ImageSpec
from components.network import Network
from components.registration import Registration, RegistrationSpec
from components.workload import ContainerEngine, Port
from infra import images

config, stack = pulumi.Config("conformance"), pulumi.get_stack()
network = Network("network", stack)


server, monitor = (
    Image(name, ImageSpec(reference=images.reference(name, images.LOCAL))).id for name in ("consul", "consul-esm")
)
spec = ConsulSpec(
    stack=stack,
    contract=images.contract("consul"),
    memory_mib=config.require_int("memory"),
    port=Port(container=8500, host=config.require_int("port")),
    grants={"reader": rules.READER} | ({"late": rules.READER} if config.require_bool("late") else {}),
    generation=config.require_int("generation"),
    monitor=images.contract("consul-esm"),
    monitor_stand_in=True,
)
args = ConsulArgs(image=server, monitor_image=monitor, network=network.id, engine=ContainerEngine())
registry = Consul("consul", spec, args)
inside = pulumi.ResourceOptions(
    providers=[pulumi_consul.Provider("consul", address=registry.address, token=registry.token)]
)
web = Endpoint(name="web", host="consul", port=8500, hosts=("consul", "nobody"))
health = RegistrationSpec(stack=stack, health_path="/v1/status/leader", interval=1, timeout=1)
Registration("web-discovery", health, web, registry.running.data, inside)
for holder, token in {"management": registry.token, **registry.tokens}.items():
    pulumi.export(holder, token)
