"""`nexus env`: shell lines after which plain `pulumi` works in this project."""

from __future__ import annotations

import shlex

from ops import console, environment, inputs, paths, policy
from ops import source as sources


def run(stack: str | None, source: str | None) -> int:
    """Print the lines; a toolchain that is not there yet is said on stderr, so that `eval` still gets the rest."""
    from ops import pulumi_cli

    decision = sources.decide(source)
    toolchain = pulumi_cli.find(decision.source)
    if toolchain is None:
        console.say("note: Pulumi is not set up yet; `./nexus up STACK` or `./nexus test` does it, then ask again.")
    chosen = inputs.load(stack).image_source(decision.source, source) if stack else decision.source
    values = environment.variables(chosen, toolchain)
    # What the verbs pass as an option; plain Pulumi of 3.208 or later takes every option from the environment, too.
    values["PULUMI_OPTION_POLICY_PACK"] = str(policy.folder(paths.ROOT))
    if stack:
        values["PULUMI_STACK"] = stack
    console.write("\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items()))
    return 0
