"""How a whole run is shared by two workers: whole environments in one, everything else in the other."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
#: Directories whose tests share servers or environments, so that one worker has to run all of them.
TOGETHER = {"e2e", "plugins", "gateway", "services"}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Environments come first, as they take longest; a file's tests stay together, as they share its fixtures."""
    for item in items:
        parts = item.path.relative_to(ROOT).parts
        item.add_marker(pytest.mark.xdist_group(parts[0] if parts[0] in TOGETHER else "/".join(parts)))
    items.sort(key=lambda item: item.path.relative_to(ROOT).parts[0] != "e2e")
