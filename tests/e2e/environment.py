"""A throw-away environment for tests: its own settings file, ports, state and passphrase, on the real engines."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import yaml
from docker.models.containers import Container

ROOT = Path(__file__).resolve().parents[2]
GATEWAY, ADMIN, REGISTRY = 4200, 3100, 3000


@dataclass
class Environment:
    """One stack, driven as a user drives it: by `./nexus`, or by `pulumi` in the shell that `./nexus env` makes."""

    stack: str
    offset: int
    home: Path
    engine: docker.DockerClient = field(default_factory=docker.from_env)

    @property
    def settings_file(self) -> Path:
        return ROOT / f"Pulumi.{self.stack}.yaml"

    @property
    def variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_CONFIG_PASSPHRASE")}
        return {
            **kept,
            "PULUMI_BACKEND_URL": f"file://{self.home}/state",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.home / "passphrase"),
            "NO_COLOR": "1",
        }

    def configure(self, **settings: Any) -> None:
        """Write the settings file, keeping what Pulumi keeps in it."""
        (self.home / "state").mkdir(parents=True, exist_ok=True)
        (self.home / "passphrase").write_text("a passphrase of the tests")
        document = yaml.safe_load(self.settings_file.read_text()) if self.settings_file.exists() else {}
        document["config"] = {"nexus:portOffset": self.offset} | {f"nexus:{k}": v for k, v in settings.items()}
        self.settings_file.write_text(yaml.safe_dump(document))

    def nexus(self, verb: str, *arguments: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "nexus"), verb, self.stack, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.variables, capture_output=True, text=True, timeout=timeout, check=False
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        done = self.nexus("up")
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def pulumi(self, command: str) -> subprocess.CompletedProcess[str]:
        """Plain Pulumi, as the README says: in a shell after `eval "$(./nexus env)"`."""
        script = f'eval "$(./nexus env)" && pulumi {command}'
        return subprocess.run(
            ["sh", "-c", script], cwd=ROOT, env=self.variables, capture_output=True, text=True, timeout=300, check=False
        )

    def status(self) -> dict[str, Any]:
        return json.loads(self.nexus("status", "--json").stdout)

    def changes(self, *arguments: str) -> dict[str, set[str]]:
        """What a preview would do: resource names by operation, unchanged ones left out."""
        done = self.nexus("preview", "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, set[str]] = {}
        for step in json.loads(done.stdout)["steps"]:
            found.setdefault(step["op"], set()).add(step["name"])
        return found

    def url(self, port: int, path: str) -> str:
        return f"http://127.0.0.1:{self.offset + port}{path}"

    def ready(self) -> httpx.Response:
        """The backend's readiness through the gateway."""
        return httpx.get(self.url(GATEWAY, "/api/v1/ready"), timeout=10)

    def container(self, service: str) -> Container:
        return self.engine.containers.get(f"nexus-{self.stack}-{service}")

    def containers(self) -> list[Container]:
        return self.engine.containers.list(all=True, filters={"label": f"nexus.stack={self.stack}"})

    def leftovers(self) -> list[str]:
        """Every engine object that carries the stack's label or name."""
        client = self.engine
        label = {"label": f"nexus.stack={self.stack}"}
        found = [f"container {c.name}" for c in client.containers.list(all=True, filters=label)]
        found += [f"volume {v.name}" for v in client.volumes.list(filters=label)]
        found += [f"network {n.name}" for n in client.networks.list(filters=label)]
        found += [f"volume {v.name}" for v in client.volumes.list() if v.name.startswith(f"nexus-{self.stack}-")]
        found += [f"image {tag}" for i in client.images.list() for tag in i.tags if f"/{self.stack}/" in tag]
        return sorted(set(found))

    def remove(self) -> None:
        """Take everything away, whatever state a failed test left it in."""
        self.nexus("down", "--yes")
        client = self.engine
        for container in self.containers():
            container.remove(force=True, v=True)
        for collection in (client.volumes, client.networks):
            for item in collection.list(filters={"label": f"nexus.stack={self.stack}"}):
                item.remove()
        self.settings_file.unlink(missing_ok=True)
