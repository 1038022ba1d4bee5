"""Makes images present: pulls the originals, or builds them from the local recipes, bases first, two at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from infra import images
from ops.errors import BAD_INPUT, Failure

Report = Callable[[str], None]
#: Builds side by side: unpacking packages is half disk, half processor, and the machine may have two cores.
PARALLEL = 2
#: Seconds the engine may be silent during one request.
TIMEOUT = 600


def missing(names: Iterable[str], source: str, registry: str = "") -> list[str]:
    """Those of the named images that the engine does not have."""
    with engine_client() as client:
        return [name for name in names if not inspect(client, _reference(name, source, registry))]


def ensure(names: Iterable[str], source: str, report: Report, registry: str = "") -> None:
    """Pulls or builds what is missing. What is already there is left alone, so an interrupted run resumes."""
    with engine_client() as client:
        needed = _with_bases(names, source, registry, client)
        _in_order(needed, lambda name: _make(client, name, source, registry, report))


def _with_bases(names: Iterable[str], source: str, registry: str, client: Any) -> dict[str, set[str]]:
    """Missing image -> the missing images it is built from."""
    known = images.load()
    needed: dict[str, set[str]] = {}

    def add(name: str) -> bool:
        if name in needed:
            return True
        if inspect(client, _reference(name, source, registry)):
            return False
        base = known[name].base if known[name].built_here(source) else None
        needed[name] = {base} if base and add(base) else set()
        return True

    for name in names:
        add(name)
    return needed


def _in_order(needed: dict[str, set[str]], make: Callable[[str], None]) -> None:
    """Runs ``make`` for every name after the names it waits for; the first failure stops what has not begun."""
    waiting = {name: set(bases) for name, bases in needed.items()}
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="image") as pool:
        while waiting or running:
            for name in [name for name, bases in waiting.items() if not bases]:
                del waiting[name]
                running[pool.submit(make, name)] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                if future.exception() is not None:
                    for other in running:
                        other.cancel()
                future.result()
                for bases in waiting.values():
                    bases.discard(name)


def _make(client: Any, name: str, source: str, registry: str, report: Report) -> None:
    if images.load()[name].built_here(source):
        from ops import image_recipes

        image_recipes.build(client, name, source, report, registry)
    else:
        from ops import image_pull

        image_pull.pull(client, _reference(name, source, registry), report)


def _reference(name: str, source: str, registry: str) -> str:
    if name in images.load():
        return images.check_reference(images.reference(name, source, registry))
    known = ", ".join(images.load())
    raise Failure(f"there is no image {name!r}", f"infra/images.yaml has {known}", "correct the name", BAD_INPUT)


def inspect(client: Any, reference: str) -> dict[str, Any] | None:
    """What the engine says of an image; None when it does not have it."""
    from docker.errors import ImageNotFound

    try:
        return client.api.inspect_image(reference)
    except ImageNotFound:
        return None


@contextmanager
def engine_client() -> Iterator[Any]:
    """A client of the engine of the environment (DOCKER_HOST); a Failure when it does not answer."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=TIMEOUT, max_pool_size=8)
    except DockerException as error:
        from ops import engine

        raise engine.unreachable(str(error)) from None
    try:
        yield client
    finally:
        client.close()
