"""The whole platform as its users meet it: the gateway, people who sign in, and an AI upstream of its own."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml

from infra import catalog
from tests.e2e.environment import MARGIN, Environment
from tests.e2e.whole.upstream import Upstream
from tests.oidc import Oidc, OidcError, Tokens

#: Below the range of the tests' own servers (`tests/ports.py`), no multiple of 100, beside those of the other modules.
UPSTREAM = 7000
#: Who can sign in, by name; what each may do is in the roles.
USERS = {"admin": {"roles": ["admin"]}, "olga": {"roles": ["operator"]}, "ann": {"roles": ["user"]}}


def eventually(check: Callable[[], object], seconds: float) -> float:
    """Wait until ``check`` is true and return how long it took; a last try outside the loop shows its own failure."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            if check():
                return time.monotonic() - start
        except (httpx.HTTPError, OidcError, AssertionError, KeyError, ValueError):
            pass
        time.sleep(0.2)
    assert check()
    return time.monotonic() - start


class Platform(Environment):
    """All 32 services in one stack."""

    def __init__(self, stack: str, home: Path) -> None:
        super().__init__(stack, home)
        self._people: dict[str, tuple[float, Tokens]] = {}
        self.key = "sk-" + secrets.token_hex(16)
        # Containers reach the host by the address that it has on the engine's own bridge.
        bridge = self.engine.networks.get("bridge").attrs
        self.upstream = Upstream(bridge["IPAM"]["Config"][0]["Gateway"], self.offset + UPSTREAM)

    @property
    def services(self) -> dict[str, catalog.Service]:
        """The published services of the project's own, by name."""
        from infra import settings

        entries = catalog.load(settings.load(self.stack), self.stack).enabled
        return {entry.name: entry for entry in entries if entry.kind == "service"}

    def begin(self) -> None:
        """Bring everything up; the upstream's key goes into the settings as the documentation says."""
        self.remove()  # what an interrupted run left
        self.settings_file.unlink(missing_ok=True)
        (self.home / "state").mkdir(parents=True, exist_ok=True)
        (self.home / "passphrase").write_text("a passphrase of the tests")
        self.write({"portOffset": self.offset, "users": USERS, "ai": {"url": self.upstream.url, "model": "small"}})
        self.shell(f"pulumi stack init {self.stack}")
        self.shell(f"pulumi config set --secret --path nexus:ai.key -s {self.stack}", self.key)
        done = self.nexus("up", timeout=840)
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> None:
        """Take everything away."""
        if "http" in self.__dict__:
            self.http.close()
        self.remove()
        self.upstream.close()
        self.engine.close()

    def write(self, settings: dict[str, Any]) -> None:
        """Change keys of the settings file; None removes one. The others stay, with what Pulumi keeps there."""
        document = yaml.safe_load(self.settings_file.read_text()) if self.settings_file.exists() else {}
        config = document.setdefault("config", {})
        config.update({f"nexus:{key}": value for key, value in settings.items()})
        document["config"] = {key: value for key, value in config.items() if value is not None}
        self.settings_file.write_text(yaml.safe_dump(document))

    def shell(self, command: str, given: str = "") -> None:
        """Plain Pulumi with ``given`` on its standard input, where a secret is read from."""
        script = f'eval "$(./nexus env)" && {command}'
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=self.root, env=self.variables, input=given, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    @cached_property
    def http(self) -> httpx.Client:
        """A client of the gateway, through TLS."""
        return httpx.Client(base_url=self.outputs["url"], verify=self.trust, timeout=15, trust_env=False)

    def browser(self) -> Oidc:
        """A browser in which nobody has signed in yet."""
        return Oidc(f"{self.outputs['url']}/api/v1/auth", verify=self.trust)

    def token_of(self, user: str) -> dict[str, str]:
        """The header of a user's calls; one login serves as long as its token is valid."""
        until, tokens = self._people.get(user, (0.0, None))
        if tokens is None or time.monotonic() > until:
            tokens = self.sign_in(user)
            self._people[user] = (time.monotonic() + tokens.seconds - MARGIN, tokens)
        return tokens.bearer

    def ask(self, user: str, method: str, path: str, **request: Any) -> httpx.Response:
        """A user's request at the gateway."""
        headers = {**self.token_of(user), **request.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **request)

    def ready_services(self) -> set[str]:
        """The services that say at the gateway that all they need is there."""
        paths = {name: entry.routes[0].path for name, entry in self.services.items()}
        return {name for name, path in paths.items() if self.ask("admin", "GET", f"{path}/ready").status_code == 200}

    def well(self) -> set[str]:
        """The services of which engine, Consul and gateway say that they are well."""
        return {service["name"] for service in self.status()["services"] if service["well"]}

    def started(self) -> dict[str, str]:
        """When each container was started, by its name."""
        return {c.name: c.attrs["State"]["StartedAt"] for c in self.containers()}
