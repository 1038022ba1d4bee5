"""A throw-away environment for tests: its own settings file, ports, state and passphrase, on the real engines."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import yaml
from docker.models.containers import Container

from infra import catalog
from ops import witnesses
from tests.oidc import Oidc, Tokens

ROOT = Path(__file__).resolve().parents[2]
GATEWAY, TLS, ADMIN, REGISTRY = 4200, 4300, 3100, 3000
#: The worker that runs these tests, of the two that share a whole run.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
#: How much higher the ports of a stack are: below the range from which outgoing connections take theirs (32768), and no
#: multiples of 100 as other stacks have. Two stacks at the same time need different ones, also of one module.
OFFSETS = {
    stack: 20000 + rest
    for rest, stack in {
        11: "e2e-drift", 22: "e2e-policy", 32: "e2e-swarm", 33: "e2e-one-gw0", 34: "e2e-one-gw1", 44: "e2e-prod",
        55: "e2e-truth", 65: "e2e-rolling", 66: "e2e-two-gw0", 67: "e2e-two-gw1", 77: "e2e-tls", 78: "e2e-upgrades",
        81: "e2e-history", 99: "e2e-all",
    }.items()
}  # fmt: skip
#: A token is used until this many seconds before it expires.
MARGIN = 30


def closure(*names: str) -> frozenset[str]:
    """Services of the catalogue with all that they run with."""
    by_name, found, left = catalog.load().by_name, set[str](), set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= set(by_name[name].runs_with) - found
    return frozenset(found)


#: The least that has a service with a database, a cache, users and routes.
CORE = closure("nexus-backend", "auth")
#: What these bring along, of kind helper.
HELPERS = frozenset({"pgbouncer", "redis-cache", "consul-esm", "vault-keeper", "gateway-agent", "healer"})


def settings_of(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`nexus:services` that run these services, once each, and no others."""
    entries = catalog.load().by_name
    off = {name: {"enabled": False} for name in entries if name not in names}
    return off | {name: {"replicas": 1} for name in names if entries[name].replicas > 1}


def copied(folder: Path) -> Path:
    """The project's files in another folder, with the packages that are installed here."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def git(root: Path, *arguments: str) -> str:
    """Run git in a tree, as somebody and without the machine's own hooks; what it says."""
    own = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "core.hooksPath=/dev/null"]
    command = ["git", "-C", str(root), *own, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Environment:
    """One stack, driven as a user drives it: by `./nexus`, or by `pulumi` in the shell that `./nexus env` makes."""

    stack: str  # one of OFFSETS
    home: Path
    only: frozenset[str] | None = None  # the services it runs; all by default
    root: Path = ROOT  # the project's tree
    engine: docker.DockerClient = field(default_factory=docker.from_env)
    _outputs: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _tokens: tuple[Tokens, float] | None = field(default=None, init=False, repr=False)

    @property
    def offset(self) -> int:
        return OFFSETS[self.stack]

    @property
    def settings_file(self) -> Path:
        return self.root / f"Pulumi.{self.stack}.yaml"

    @property
    def variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_CONFIG_PASSPHRASE")}
        return {
            **kept,
            "PULUMI_BACKEND_URL": f"file://{self.home}/state",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.home / "passphrase"),
            "NO_COLOR": "1",
        }

    def configure(self, services: dict[str, dict[str, Any]] | None = None, **settings: Any) -> None:
        """Write the settings file, keeping what Pulumi keeps in it; ``services`` change what ``only`` says."""
        (self.home / "state").mkdir(parents=True, exist_ok=True)
        (self.home / "passphrase").write_text("a passphrase of the tests")
        document = yaml.safe_load(self.settings_file.read_text()) if self.settings_file.exists() else {}
        chosen = settings_of(self.only) if self.only is not None else {}
        for name, changes in (services or {}).items():
            chosen[name] = chosen.get(name, {}) | changes
        settings["services"] = chosen
        document["config"] = {"nexus:portOffset": self.offset} | {f"nexus:{k}": v for k, v in settings.items()}
        self.settings_file.write_text(yaml.safe_dump(document))

    def nexus(self, verb: str, *arguments: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        if verb in ("up", "down", "rotate"):  # a password or the certificate may be another one afterwards
            self._outputs, self._tokens = {}, None
        command = [str(self.root / "nexus"), verb, self.stack, *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.variables, capture_output=True, text=True, timeout=timeout, check=False
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        done = self.nexus("up")
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def pulumi(self, command: str) -> subprocess.CompletedProcess[str]:
        """Plain Pulumi, as the README says: in a shell after `eval "$(./nexus env)"`."""
        script = f'eval "$(./nexus env)" && pulumi {command}'
        return subprocess.run(
            ["sh", "-c", script],
            cwd=self.root,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
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

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets too, read once after each change."""
        if not self._outputs:
            shown = self.pulumi(f"stack output -s {self.stack} --show-secrets --json")
            assert shown.returncode == 0, shown.stderr
            self._outputs = json.loads(shown.stdout)
        return self._outputs

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client trusts that has the stack's root certificate and no other."""
        return ssl.create_default_context(cadata=self.outputs["rootCertificate"])

    def sign_in(self, username: str = "admin") -> Tokens:
        """Tokens of a user, by the code flow over the gateway's TLS port."""
        client = Oidc(f"{self.outputs['url']}/api/v1/auth", verify=self.trust)
        try:
            return client.login(username, self.outputs["passwords"][username])
        finally:
            client.close()

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a signed-in user, who signs in again when the token gets old."""
        if self._tokens is None or time.monotonic() > self._tokens[1]:
            tokens = self.sign_in()
            self._tokens = tokens, time.monotonic() + tokens.seconds - MARGIN
        return self._tokens[0].bearer

    def call(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A request through the gateway over TLS, as a signed-in user."""
        with httpx.Client(verify=self.trust, timeout=10, trust_env=False, headers=self.bearer) as client:
            return client.request(method, f"{self.outputs['url']}{path}", **content)

    def ready(self) -> httpx.Response:
        """The backend's readiness through the gateway."""
        return self.call("GET", "/api/v1/ready")

    def kong(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A request to Kong's Admin API, with the password that its container holds."""
        auth = witnesses.gateway_login(self.engine, self.container("kong").name)
        return httpx.request(method, self.url(ADMIN, path), auth=auth, timeout=10, trust_env=False, **content)

    def consul(self, path: str) -> httpx.Response:
        """A question to Consul, with the token that only reads."""
        headers = witnesses.consul_token(self.engine, self.container("consul").name)
        return httpx.get(self.url(REGISTRY, path), headers=headers, timeout=10, trust_env=False)

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
