"""`nexus images list|build|pin`: what `ops.images` does, shown to people."""

from __future__ import annotations

from ops import console, engine, images
from ops import source as sources
from ops.errors import BAD_INPUT, Failure
from ops.progress import Board


def show(source: str | None, registry: str) -> int:
    """A table of all pinned images."""
    from rich.table import Table

    decision = sources.decide(source)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("IMAGE", "HERE", "KIND", "REFERENCE"):
        shown.add_column(title, no_wrap=not console.out().is_terminal)
    for row in images.listing(decision.source, registry):
        here = f"{row.megabytes:.0f} MB" if row.megabytes is not None else "-"
        shown.add_row(row.name, here, "stand-in" if row.stand_in else "original", row.reference)
    console.out().print(shown)
    console.write(f"\nsource: {decision.source} ({decision.why})")
    return 0


def build(names: list[str], source: str | None, registry: str) -> int:
    """Make images present, with progress."""
    from infra.images import load

    unknown = sorted(set(names) - set(load()))
    if unknown:
        known = ", ".join(sorted(load()))
        raise Failure(
            f"no such image: {', '.join(unknown)}", f"infra/images.yaml has: {known}", "use its name", BAD_INPUT
        )
    decision = sources.decide(source)
    with Board() as board:
        machine = board.stage("docker engine")
        engine.ensure(machine.report)
        machine.done("ready")
        stage = board.stage("images")
        images.build(names, decision.source, stage.report, registry)
        stage.done("ready")
    return 0


def pin(registry: str) -> int:
    """Pin the originals by digest and say what changed."""
    with Board() as board:
        stage = board.stage("images")
        changed = images.pin(stage.report, registry)
        stage.done(f"{len(changed)} changed")
    for name, reference in changed:
        console.write(f"{name}: {reference}")
    console.write(f"infra/images.yaml: {len(changed)} references changed")
    return 0
