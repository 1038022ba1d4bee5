"""The network that a stack's containers share, on which each is known by its service's name."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from components._labels import labels
from components._naming import network


class Network(pulumi.ComponentResource):
    """A bridge network of the stack's own. Output: ``id``, what containers attach to."""

    id: pulumi.Output[str]

    def __init__(self, name: str, stack: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nexus:index:Network", name, None, opts)
        bridge = docker.Network(
            f"{name}-bridge",
            name=network(stack),
            driver="bridge",
            labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in labels(stack, "network").items()],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = bridge.name
        self.register_outputs({"id": self.id})
