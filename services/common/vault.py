"""Vault: an AppRole session that keeps itself alive, the service's own entries, leases, and encryption.

It speaks Vault's HTTP API over the asynchronous client that the service has anyway. A library for Vault would bring a
second, blocking HTTP stack (7 MB) and a thread for every call, and a thread that waits for a hung server cannot be
given up.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from services.common import http
from services.common.credentials import VaultError
from services.common.dependency import Dependency, DependencyAwayError, delays, explain
from services.common.lease import Lease
from services.common.settings import VaultSettings

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

#: Seconds for an answer. Making a database role takes Vault some 20 ms, at a cold start of all services far more.
TIMEOUT = 5.0
#: Seconds a stopping service gives Vault to take back its token, and with it all its leases.
FAREWELL = 1.0
#: The part of a token's or lease's life after which it is renewed; the rest is for trying again.
RENEW_AT = 2 / 3


class Vault(Dependency):
    """The service's session with Vault. ``keep`` has to run for tokens and leases to be renewed."""

    name = "vault"

    def __init__(self, settings: VaultSettings, service: str) -> None:
        super().__init__()
        self._settings, self._service = settings, service
        self._http = http.client(f"{settings.address}/v1/", TIMEOUT)
        self._token, self._renew_after = "", 0.0
        self._login = asyncio.Lock()
        self._leases: list[Lease] = []

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call Vault as this service and return its answer's document, empty when there is none.

        Raises ``VaultError`` when it is refused and ``DependencyAwayError`` when Vault is away, sealed, or cannot reach
        the server it needs for the answer.
        """
        token = await self._session()
        try:
            return await self._call(method, path, body, token)
        except VaultError as error:
            if error.status != 403 or await self._is_valid(token):
                raise
        self._forget(token)
        return await self._call(method, path, body, await self._session())

    async def entry(self, name: str) -> dict[str, Any]:
        """Read the service's own entry ``secret/services/SERVICE/NAME``; an empty name is the service's root."""
        return await self.read_entry("/".join(("services", self._service, *name.split("/"))).rstrip("/"))

    async def read_entry(self, path: str) -> dict[str, Any]:
        """Read an entry of the key-value engine by its path below ``secret/``."""
        return (await self.request("GET", f"secret/data/{path}"))["data"]["data"]

    async def encrypt(self, plain: bytes, key: str | None = None) -> str:
        """Encrypt with the service's own key (or ``key``); the answer, ``vault:vN:...``, names the key's version."""
        body = {"plaintext": base64.b64encode(plain).decode()}
        return (await self.request("POST", f"transit/encrypt/{key or self._service}", body))["data"]["ciphertext"]

    async def decrypt(self, cipher: str, key: str | None = None) -> bytes:
        """Undo ``encrypt``, whichever version of the key made it."""
        answer = await self.request("POST", f"transit/decrypt/{key or self._service}", {"ciphertext": cipher})
        return base64.b64decode(answer["data"]["plaintext"])

    async def sign(self, key: str, data: bytes, version: int = 0) -> bytes:
        """Sign for a JWT with RS256: SHA-256, PKCS #1 v1.5. Version 0 is the latest."""
        body = {
            "input": base64.b64encode(data).decode(),
            "hash_algorithm": "sha2-256",
            "signature_algorithm": "pkcs1v15",
            "key_version": version,
        }
        answer = await self.request("POST", f"transit/sign/{key}", body)
        return base64.b64decode(answer["data"]["signature"].rpartition(":")[2])

    async def public_keys(self, key: str) -> dict[int, dict[str, Any]]:
        """Return an asymmetric key's live versions: number to ``{public_key (PEM), creation_time, ...}``."""
        document = (await self.request("GET", f"transit/keys/{key}"))["data"]
        return {int(version): entry for version, entry in document["keys"].items()}

    def lease(self, path: str) -> Lease:
        """Make the holder of dynamic credentials, such as ``database/creds/SERVICE``; call it before ``keep``."""
        lease = Lease(self, path)
        self._leases.append(lease)
        return lease

    async def ping(self) -> None:
        """Have a session, and ask whether Vault is unsealed; that costs no line in its audit log."""
        await self._session()
        await self._call("GET", "sys/health?standbyok=true&perfstandbyok=true", None, "")

    async def keep(self) -> None:
        """Run for ever: probe, and renew the token and the leases."""
        async with asyncio.TaskGroup() as group:
            group.create_task(super().keep())
            group.create_task(self._keep_session())
            for lease in self._leases:
                group.create_task(lease.keep())

    async def close(self) -> None:
        """Give the token back, so that what was leased to it ends now and not in an hour."""
        if token := self._token:
            self._token = ""
            with suppress(TimeoutError, DependencyAwayError, VaultError):
                await asyncio.wait_for(self._call("POST", "auth/token/revoke-self", None, token), FAREWELL)
        await self._http.aclose()

    def connections(self) -> dict[str, int]:
        """Return nothing: requests are few and short."""
        return {}

    async def _session(self) -> str:
        async with self._login:  # one login for all who find that there is none
            if not self._token:
                try:
                    secret = self._settings.secret_id_file.read_text(encoding="utf-8").strip()
                    body = {"role_id": self._service, "secret_id": secret}
                    answer = (await self._call("POST", "auth/approle/login", body, ""))["auth"]
                except (VaultError, OSError) as error:
                    # Before the role is made the login is refused. That passes, and nothing here could mend it.
                    raise DependencyAwayError(self.name, f"no login: {explain(error)}") from error
                self._note_token(answer)
                for lease in self._leases:
                    lease.look()
            return self._token

    async def _keep_session(self) -> None:
        waits = delays()
        while True:
            await asyncio.sleep(max(1.0, self._renew_after - time.monotonic()) if self._token else next(waits))
            if not self._token:
                continue
            try:
                self._note_token((await self.request("POST", "auth/token/renew-self"))["auth"])
                waits = delays()
            except (VaultError, DependencyAwayError) as error:
                log.warning("the token was not renewed: %s", error)
                await asyncio.sleep(next(waits))

    def _note_token(self, auth: dict[str, Any]) -> None:
        self._token = auth["client_token"]
        self._renew_after = time.monotonic() + auth["lease_duration"] * RENEW_AT

    async def _is_valid(self, token: str) -> bool:
        """Tell "not allowed" from "no longer valid", for which Vault has but one status."""
        try:
            await self._call("GET", "auth/token/lookup-self", None, token)
        except VaultError:
            return False
        return True

    def _forget(self, token: str) -> None:
        if self._token == token:
            self._token = ""

    async def _call(self, method: str, path: str, body: dict[str, Any] | None, token: str) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 - loaded with the client

        headers = {"X-Vault-Token": token} if token else {}
        try:
            answer = await self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            self.doubt()
            raise DependencyAwayError(self.name, explain(error)) from error
        if answer.is_success:
            return answer.json() if answer.content else {}
        errors = _errors(answer)
        if answer.status_code in (412, 429, 472, 473) or answer.status_code >= 500:
            raise DependencyAwayError(self.name, f"{answer.status_code} {'; '.join(errors)}"[:300])
        raise VaultError(method, path, answer.status_code, errors)


def _errors(answer: httpx.Response) -> list[str]:
    try:
        document = answer.json()
    except ValueError:
        return [answer.text[:200]]
    if "errors" in document:
        return [str(error) for error in document["errors"]]
    return ["sealed"] if document.get("sealed") else [answer.text[:200]]
