"""What is installed beside this interpreter, as the engine wants to know it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path


def version(distribution: str) -> str:
    """The installed version of a distribution, for example ``3.259.0``."""
    return metadata.version(distribution)


def plugins() -> list[dict[str, str]]:
    """The provider plugins that the installed Pulumi SDKs need: ``{"name", "version", "server"}`` each.

    Every SDK wheel carries a ``pulumi-plugin.json`` that says so; reading these takes a millisecond, asking pip a
    second.
    """
    found = []
    for folder in filter(None, map(Path, sys.path)):
        for file in sorted(folder.glob("pulumi_*/pulumi-plugin.json")):
            plugin = json.loads(file.read_text())
            if plugin.get("resource"):
                name = plugin.get("name") or file.parent.name.removeprefix("pulumi_")
                found.append({"name": name, "version": plugin["version"], "server": plugin.get("server", "")})
    return found


def dependencies(transitive: bool) -> list[tuple[str, str]]:
    """``(name, version)`` of the installed distributions; without ``transitive``, those that no other one needs."""
    distributions = {_key(each.name): each for each in metadata.distributions()}
    needed = set()
    if not transitive:
        for each in distributions.values():
            needed |= {_key(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in each.requires or []}
    return sorted((each.name, each.version) for key, each in distributions.items() if key not in needed)


def install(directory: str) -> Iterator[tuple[str, bool]]:
    """Install ``requirements.txt`` of the program; yields ``(line of output, False)``, at a failure ``(why, True)``."""
    requirements = Path(directory, "requirements.txt")
    if not requirements.exists():
        yield f"{requirements} does not exist: nothing to install\n", False
        return
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            yield line, False
    if pip.returncode:
        yield f"{' '.join(command)} ended with {pip.returncode}", True


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
