"""The compiled toolchain, and one-file Pulumi programs that run on it with a real CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops import pulumi_cli
from ops.pulumi_cli import Toolchain

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    return pulumi_cli.ensure("local", print)


@dataclass
class Project:
    """A Pulumi program in a folder of its own, with its state beside it."""

    folder: Path
    toolchain: Toolchain

    def write(self, program: str) -> None:
        (self.folder / "__main__.py").write_text(program)

    def environment(self) -> dict[str, str]:
        path = ":".join([*map(str, self.toolchain.path_entries), os.environ["PATH"]])
        return {
            **os.environ,
            "PATH": path,
            "PULUMI_HOME": str(self.toolchain.home),
            "PULUMI_BACKEND_URL": f"file://{self.folder}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "NEXUS_PYTHON": sys.executable,
        }

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.toolchain.pulumi), *arguments, "--non-interactive", "--color", "never"]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False, timeout=300
        )

    def ok(self, *arguments: str) -> str:
        run = self.pulumi(*arguments)
        said = [line for line in (run.stdout + run.stderr).splitlines() if '"prefix":"debug' not in line]
        assert run.returncode == 0, "\n".join([f"pulumi {' '.join(arguments)}", *said[-12:]])[-4000:]
        return run.stdout

    def state(self) -> dict[str, Any]:
        """The checkpoint as it is on disk: secrets are ciphertext in it."""
        return json.loads(self.ok("stack", "export", "-s", "test"))

    def resources(self) -> dict[str, dict[str, Any]]:
        return {each["urn"].split("::")[-1]: each for each in self.state()["deployment"]["resources"]}


@pytest.fixture
def project(tmp_path: Path, toolchain: Toolchain) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: toolchain\nruntime: python\n")
    made = Project(tmp_path, toolchain)
    made.ok("stack", "init", "test")
    return made
