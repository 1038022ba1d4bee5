"""How a whole run is shared by two workers: by files, or by what shares servers or an environment."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import docker
import pytest
from xdist.scheduler import LoadScopeScheduling

from ops import swarm

#: Beginnings of paths whose tests share servers or an environment, so that one worker has to run all of each row.
TOGETHER = (
    ("tests/e2e/whole/",),
    ("tests/plugins/",),
    ("tests/gateway/",),
    ("tests/services/",),
)


class Sharing(LoadScopeScheduling):
    """A worker takes a whole file, as its tests share fixtures, or all of a row of TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        return next((row[0] for row in TOGETHER if nodeid.startswith(row)), nodeid.split("::", 1)[0])


def pytest_configure() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that the tests start to interrupt it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """The workers' scheduler, whatever `--dist` says."""
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Environments come first, as they take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/e2e/"))


@pytest.fixture(scope="session")
def unswarmed() -> Iterator[None]:
    """For tests that make the engine a swarm's node: at the end of all tests it is none again, if it was none.

    Not earlier: one that leaves a swarm forgets the names of all containers that run on it, those of other tests too.
    """
    with closing(docker.from_env()) as engine:
        before = swarm.look(engine).active
        yield
        if not before and swarm.look(engine).active and not engine.services.list():
            engine.swarm.leave(force=True)
