"""The agent's session with Vault."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.gateway_agent.http import AwayError, RefusedError, Server

#: The part of the token's life after which it is renewed.
RENEW_AT = 2 / 3


class Vault:
    """Logs in when it has to, and renews what it got."""

    def __init__(self, server: Server, role: str, secret_id_file: Path) -> None:
        self._server, self._role, self._file = server, role, secret_id_file
        self._renew_after = 0.0

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask as the agent. Raises ``RefusedError`` and ``AwayError``."""
        self._session()
        try:
            return self._server.call(method, path, body)
        except RefusedError as error:
            if error.status != 403:
                raise
        # Not allowed, or no longer valid, which Vault does not tell apart: with a new token it shows.
        self.close()
        self._session()
        return self._server.call(method, path, body)

    def close(self) -> None:
        """Give the token back."""
        if self._server.headers:
            with suppress(RefusedError, AwayError):
                self._server.call("POST", "/auth/token/revoke-self")
            self._server.headers = {}

    def authority(self) -> str:
        """The certificate of who signs the gateway's; public. Raises ``AwayError``."""
        return self._server.text("/pki_int/ca/pem")

    def _session(self) -> None:
        if not self._server.headers:
            body = {"role_id": self._role, "secret_id": self._file.read_text(encoding="utf-8").strip()}
            self._note(self._server.call("POST", "/auth/approle/login", body)["auth"])
        elif time.monotonic() > self._renew_after:
            try:
                self._note(self._server.call("POST", "/auth/token/renew-self")["auth"])
            except RefusedError:
                self._server.headers = {}
                self._session()

    def _note(self, auth: dict[str, Any]) -> None:
        self._server.headers = {"X-Vault-Token": auth["client_token"]}
        self._renew_after = time.monotonic() + auth["lease_duration"] * RENEW_AT
