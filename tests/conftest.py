"""How a whole run is shared by two workers: whole environments in one, everything else in the other."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Directories whose tests share servers or environments, so that one worker has to run all of them.
TOGETHER = {"e2e", "plugins", "gateway", "services"}


class Sharing(LoadScopeScheduling):
    """A worker takes a whole file, as its tests share fixtures, or a whole directory of TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        directory = file.split("/")[1]
        return directory if directory in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """The workers' scheduler, whatever `--dist` says."""
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Environments come first, as they take longest."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/e2e/"))
