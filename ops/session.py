"""What `up`, `preview` and `down` begin with: checked inputs, the source, what the machine lacks, the workspace."""

from __future__ import annotations

from dataclasses import dataclass, field

from ops import bootstrap, console, inputs, preflight, swarm, workspace
from ops import source as sources
from ops.inputs import Inputs
from ops.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """A stack that can be worked on; ``seconds`` has how long each stage of the bootstrap took."""

    inputs: Inputs
    source: str
    workspace: Workspace
    seconds: dict[str, float] = field(default_factory=dict)


def begin(stack: str, asked: str | None, *, images: bool, ports: bool) -> Session:
    """Check the inputs before anything is touched, then make what is missing. Raises Failure or ConfigError."""
    chosen = inputs.load(stack)
    if ports:
        preflight.require_ports(chosen)
    decision = sources.decide(asked)
    image_source = chosen.image_source(decision.source, asked)
    ready = bootstrap.run(decision.source, chosen.image_names if images else [], image_source, chosen.settings.registry)
    if images and chosen.settings.engine == "swarm":
        swarm.ensure(stack, console.say)
    space = workspace.select(stack, image_source, ready.toolchain)
    return Session(chosen, image_source, space, ready.seconds)
