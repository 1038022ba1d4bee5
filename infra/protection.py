"""Resources that hold data are protected where the settings say so: Pulumi then refuses to delete them."""

from __future__ import annotations

import pulumi

#: What a later `up` could not make again.
HOLDING_DATA = frozenset({"docker:index/volume:Volume"})


def apply(protect: bool) -> None:
    """Mark what holds data and is declared from here on; said either way, as an unsaid mark would stay."""

    def marked(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ not in HOLDING_DATA:
            return None
        options = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(protect=protect))
        return pulumi.ResourceTransformationResult(args.props, options)

    pulumi.runtime.register_stack_transformation(marked)
