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


class Overlay(pulumi.ComponentResource):
    """The same over all nodes of a swarm; containers may attach to it too. Output: ``id``.

    ``encrypted`` costs CPU and needs IPsec in every node's kernel (ESP), but only once there is a second node.
    """

    id: pulumi.Output[str]

    def __init__(
        self, name: str, stack: str, *, encrypted: bool = True, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Overlay", name, None, opts)
        overlay = docker.Network(
            f"{name}-overlay",
            name=network(stack),
            driver="overlay",
            attachable=True,
            options={"encrypted": ""} if encrypted else None,
            labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in labels(stack, "network").items()],
            # the engine adds the number of the segment to the options, and a network cannot be changed, only replaced
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["options"]),
        )
        self.id = overlay.id
        self.register_outputs({"id": self.id})
