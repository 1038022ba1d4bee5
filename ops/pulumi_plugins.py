"""The provider plugins that the program needs, and getting each to where the engine looks for it.

Which ones, and in which versions, is what the installed SDKs say (``pulumi-plugin.json`` in every wheel), so that
requirements.txt is the only place that pins them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from ops import artifacts
from ops.errors import MACHINE, Failure

#: Plugins with a program of their own; the others are one program that looks at the name it was started by.
OWN_ARTIFACT = {"docker": "pulumi-resource-docker"}
SHARED_ARTIFACT = "provider-plugins"
#: Seconds for a plugin to say its version; the largest takes 0.3.
ANSWER = 10


@cache
def required() -> dict[str, str]:
    """Version of every plugin by name, for example ``{"docker": "5.2.0"}``."""
    found: dict[str, str] = {}
    for folder in filter(None, map(Path, sys.path)):
        for file in sorted(folder.glob("pulumi_*/pulumi-plugin.json")):
            plugin = json.loads(file.read_text())
            if plugin.get("resource"):
                found.setdefault(plugin["name"], plugin["version"])
    return found


def artifact(name: str) -> str:
    """The row of ``offline/artifacts.yaml`` that a plugin is compiled from."""
    return OWN_ARTIFACT.get(name, SHARED_ARTIFACT)


def compiled() -> dict[str, str]:
    """Artifact by plugin name, for those whose source is in this project."""
    rows = artifacts.load()
    return {name: artifact(name) for name in required() if (rows[artifact(name)].folder / "go.mod").exists()}


def home(explicit: Path | None = None) -> Path:
    """The engine's own folder, with the installed plugins in ``plugins/``."""
    return explicit or Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def installed(name: str, version: str, folder: Path) -> bool:
    """Whether the engine would find exactly this version, completely unpacked, in its folder."""
    plugin = folder / "plugins" / f"resource-{name}-v{version}"
    return (plugin / f"pulumi-resource-{name}").is_file() and not plugin.with_name(plugin.name + ".partial").exists()


def install(pulumi: Path, name: str, version: str, *, folder: Path | None, file: Path | None, server: str = "") -> None:
    """Install one plugin, from a file or a download server (empty: the official one). Failure has the CLI's words."""
    command = [str(pulumi), "plugin", "install", "resource", name, version, "--exact", "--non-interactive"]
    command += ["--file", str(file)] if file else []
    command += ["--server", server] if server else []
    run = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=False)
    if run.returncode or not installed(name, version, home(folder)):
        raise Failure(
            f"the {name} plugin {version} could not be installed",
            (run.stderr.strip() or run.stdout.strip())[-800:],
            f"try it by hand: {' '.join(command)}",
        )


def environment(folder: Path | None) -> dict[str, str]:
    """What a call of the CLI needs: its folder, and no look for news."""
    extra = {"PULUMI_HOME": str(folder)} if folder else {}
    return {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", **extra}


def refuse_shadows() -> None:
    """The engine prefers a plugin on PATH to an installed one: refuse one of another version. Raises Failure."""
    for name, version in required().items():
        program = shutil.which(f"pulumi-resource-{name}")
        if not program:
            continue
        found = _version(program)
        if found != version:
            raise Failure(
                f"{program} is version {found or 'unknown'}, the program needs the {name} plugin {version}",
                "Pulumi prefers a plugin on PATH to the installed one, whatever its version",
                f"take {Path(program).parent} off PATH, or remove the file",
                MACHINE,
            )


def _version(program: str) -> str:
    try:
        run = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.fullmatch(r"v?(\d+\.\d+\.\d+\S*)", run.stdout.strip())
    return found.group(1) if found else ""
