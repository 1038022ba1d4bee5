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
    """One image, by outputs that change just when its content does.

    ``id`` is its content digest, ``portable`` what other engines can pull it by, or the digest again when it was built
    here (other engines then need a copy).
    """

    id: pulumi.Output[str]
    portable: pulumi.Output[str]

    def __init__(self, name: str, spec: ImageSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nexus:index:Image", name, None, opts)
        image = docker.RemoteImage(
            f"{name}-image",
            name=spec.reference,
            keep_locally=True,  # other environments on this engine run from it too
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = image.image_id
        self.portable = pulumi.Output.all(image.image_id, image.repo_digest).apply(lambda both: both[1] or both[0])
        self.register_outputs({"id": self.id})
