"""Regenerates the docker plugin's package schema: ``python -m ops.docker_schema`` after a change of its mapping."""

from __future__ import annotations

import os
import subprocess

from ops import artifacts, go_build
from ops.errors import Failure

ARTIFACT = "pulumi-resource-docker"
SCHEMA = artifacts.get(ARTIFACT).folder / "schema.json"


def generate() -> str:
    """The schema as the generator makes it from the mapping and the upstream provider. Six seconds when compiled."""
    artifact = artifacts.get(ARTIFACT)
    command = ["go", "run", "-trimpath", f"-tags={artifact.tags}", "./schema", artifact.version]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    run = subprocess.run(
        command, cwd=go_build.stage(artifact), env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise Failure(
            "the docker plugin's schema could not be generated", run.stderr[-800:], f"run {' '.join(command)}"
        )
    return run.stdout


if __name__ == "__main__":
    SCHEMA.write_text(generate())
