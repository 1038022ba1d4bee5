"""An image in the engine's store: pulled by its reference, or already built under it from a recipe of the project."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker
from pydantic import BaseModel, ConfigDict


class ImageSpec(BaseModel):
    """Which image; ``stand_in`` marks one of the project's own servers in the place of an original."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str
    stand_in: bool = False


class Image(pulumi.ComponentResource):
    """One image. Output: ``id``, its content digest, so that a container is replaced just when the content changed."""

    id: pulumi.Output[str]

    def __init__(self, name: str, spec: ImageSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nexus:index:Image", name, None, opts)
        image = docker.RemoteImage(
            f"{name}-image",
            name=spec.reference,
            keep_locally=True,  # other environments on this engine run from it too
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = image.image_id
        self.register_outputs({"id": self.id})
