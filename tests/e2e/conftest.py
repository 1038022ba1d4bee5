"""Environments shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.environment import CORE, ROOT, Environment

pytestmark = pytest.mark.e2e
#: Below the range from which outgoing connections take theirs (32768), and no multiples of 100 as other stacks have.
ONE, TWO = 20033, 20066


def made(stack: str, offset: int, home: Path, root: Path = ROOT) -> Iterator[Environment]:
    environment = Environment(stack, offset, home, CORE, root)
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
    for one in made("e2e-one", ONE, tmp_path_factory.mktemp("one")):
        one.up()
        yield one


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Environment]:
    """An environment that has settings, and nothing else yet."""
    yield from made("e2e-two", TWO, tmp_path)
