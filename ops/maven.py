"""Java programs whose parts are Maven artifacts: a recipe's ``pom.xml`` names them, ``maven.sha256`` pins every file.

Maven itself fetches them, with the machine's own repositories, proxy and credentials; what it brings has to be exactly
what is pinned, so nothing depends on which repository that was.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from ops import debian
from ops.errors import MACHINE, Failure

Report = Callable[[str], None]
PROJECT, PINS = "pom.xml", "maven.sha256"
#: Pinned too: it runs on this machine.
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
#: Lines of Maven's output shown to the person when it fails.
_SHOWN = 8


def pins(recipe: Path) -> dict[str, str]:
    """File in the image -> its SHA-256, in the format of ``sha256sum``."""
    lines = (recipe / PINS).read_text().splitlines()
    return {path: digest for digest, path in (line.split() for line in lines)}


def fetch(recipe: Path, target: Path, report: Report) -> None:
    """Puts the artifacts of a recipe under ``target``, each checked; a Failure when one is missing or another one."""
    if shutil.which("mvn") is None:
        _install(report)
    report(f"fetching the Maven artifacts of image {recipe.name}")
    with tempfile.TemporaryDirectory(prefix=f"nexus-maven-{recipe.name}-") as scratch:
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(recipe / PROJECT)]
        done = subprocess.run(
            [*command, PLUGIN, f"-DoutputDirectory={scratch}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            why = "\n".join((done.stdout + done.stderr).strip().splitlines()[:_SHOWN])
            remedy = f"`{' '.join(command)} dependency:resolve` must work here (repositories: ~/.m2/settings.xml)"
            raise Failure(f"the Maven artifacts of image {recipe.name} could not be fetched", why, remedy, MACHINE)
        place(recipe, Path(scratch), target)


def place(recipe: Path, fetched: Path, target: Path) -> None:
    """Moves files from a flat folder to their places in the image, if they are exactly the pinned ones."""
    wanted = pins(recipe)
    there = {file.name for file in fetched.iterdir()}
    pinned = {Path(path).name for path in wanted}
    if there != pinned:
        _refuse(recipe, f"not pinned: {sorted(there - pinned)}; missing: {sorted(pinned - there)}")
    for path, digest in wanted.items():
        file = fetched / Path(path).name
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != digest:
            _refuse(recipe, f"{file.name} has the checksum {found}, pinned is {digest}")
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target / path)


def _refuse(recipe: Path, why: str) -> None:
    raise Failure(
        f"the Maven artifacts of image {recipe.name} are not the pinned ones",
        why,
        f"a released artifact never changes: find out what your repository serves ({recipe.name}/{PINS} has the pins)",
    )


def _install(report: Report) -> None:
    if not debian.is_root_on_debian():
        raise Failure("Maven (mvn) is not on PATH", "it fetches an image's Java parts", "install Maven", MACHINE)
    debian.install(["maven"], report)
