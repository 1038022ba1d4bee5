"""One environment with all services, for all modules of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.whole.platform import Platform


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    one = Platform("e2e-all", tmp_path_factory.mktemp("all"))
    try:
        one.begin()
        yield one
    finally:
        one.end()
