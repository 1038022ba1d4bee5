"""Environments shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.environment import CORE, ROOT, WORKER, Environment

pytestmark = pytest.mark.e2e


def made(stack: str, home: Path, root: Path = ROOT) -> Iterator[Environment]:
    environment = Environment(stack, home, CORE, root)
    environment.remove()  # what an interrupted run of these tests left
    environment.configure()
    try:
        yield environment
    finally:
        environment.remove()
        environment.engine.close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A healthy environment."""
    for one in made(f"e2e-one-{WORKER}", tmp_path_factory.mktemp("one")):
        one.up()
        yield one


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Environment]:
    """An environment that has settings, and nothing else yet."""
    yield from made(f"e2e-two-{WORKER}", tmp_path)
