"""Resources that hold data are protected where the settings say so: Pulumi then refuses to delete them."""

from __future__ import annotations

import pulumi

#: What a later `up` could not make again.
HOLDING_DATA = frozenset({"docker:index/volume:Volume"})


def protected(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """The resource with the mark, if it holds data."""
    if args.type_ not in HOLDING_DATA:
        return None
    marked = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(protect=True))
    return pulumi.ResourceTransformationResult(args.props, marked)


def apply() -> None:
    """Protect whatever the program declares from here on."""
    pulumi.runtime.register_stack_transformation(protected)
