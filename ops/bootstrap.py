"""Makes what a machine lacks before Pulumi can run: engine first, then toolchain and images at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops import engine, preflight
from ops.progress import Board, Stage

if TYPE_CHECKING:
    from ops.pulumi_cli import Toolchain


@dataclass
class Ready:
    """The toolchain, and how many seconds each stage took."""

    toolchain: Toolchain
    seconds: dict[str, float] = field(default_factory=dict)


def run(source: str, image_names: Iterable[str], image_source: str, registry: str = "") -> Ready:
    """Engine, toolchain and images; what is there already costs a look. Raises Failure."""
    from ops import image_builder, pulumi_cli

    names = list(image_names)
    preflight.require_space()
    with Board() as board:
        _stage(board, "docker engine", None, engine.ensure)
        estimate = estimated(source, names, image_source, registry)
        with ThreadPoolExecutor(2) as pool:
            toolchain = pool.submit(
                _stage, board, "toolchain", estimate, lambda report: pulumi_cli.ensure(source, report)
            )
            images = pool.submit(
                _stage, board, "images", estimate,
                lambda report: image_builder.ensure(names, image_source, report, registry),
            )  # fmt: skip
            _first_failure([toolchain, images])
    return Ready(toolchain.result(), {stage.name: stage.elapsed for stage in board.stages})


def estimated(source: str, names: Iterable[str], image_source: str, registry: str) -> float | None:
    """Seconds that what has to be compiled will take here; None when there is nothing to say about it."""
    from ops import artifacts, image_builder, pulumi_cli, pulumi_plugins

    needed: set[str] = set()
    if source == "local" and pulumi_cli.find(source) is None:
        needed |= {pulumi_cli.CLI, *pulumi_plugins.compiled().values()}
    if image_source == "local":
        from infra import images

        known = images.load()
        for name in image_builder.missing(names, image_source, registry):
            if (artifact := known[name].artifact) is not None:
                needed.add(artifact)
    return float(artifacts.estimate(needed)) or None if needed else None


def _stage(board: Board, name: str, estimate: float | None, work: Callable[[Callable[[str], None]], Any]) -> Any:
    stage: Stage = board.stage(name, estimate)
    try:
        result = work(stage.report)
    except BaseException:
        stage.done("failed")
        raise
    stage.done("ready")
    return result


def _first_failure(futures: list[Future[Any]]) -> None:
    """Raise the first failure as soon as there is one; the other stage keeps what it has finished."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()
