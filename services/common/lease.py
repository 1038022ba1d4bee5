"""Dynamic credentials of Vault's: renewed while that is possible, then replaced before they end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from services.common.credentials import Credentials, VaultError
from services.common.dependency import DependencyAwayError, delays

if TYPE_CHECKING:
    from services.common.vault import Vault

log = logging.getLogger(__name__)

#: The part of a lease's life after which it is renewed; the rest is for trying again.
RENEW_AT = 2 / 3
#: Near the end of all renewing Vault grants less than was asked for. Below this part of the first span others are
#: fetched, so that connections have time to change over.
TOO_SHORT = 1 / 2
#: Seconds between two fetches because a server refused what Vault gave: new credentials take a moment to arrive.
REFETCH = 1.0


class Lease:
    """Credentials at a path of a secrets engine. ``current`` is for user and password, ``data`` for anything else."""

    def __init__(self, vault: Vault, path: str) -> None:
        self.path = path
        self._vault = vault
        self._id, self._data = "", dict[str, Any]()
        self._span, self._fetched, self._ends, self._renew_at = 0.0, 0.0, 0.0, 0.0
        self._lock = asyncio.Lock()
        self._now = asyncio.Event()
        self._callbacks: list[Callable[[], None]] = []

    async def data(self) -> dict[str, Any]:
        """Return what Vault leased. Raises ``DependencyAwayError`` when there is nothing and Vault is away.

        What has ended is still returned while Vault is away: a Vault that is away takes nothing back.
        """
        async with self._lock:
            if not self._data:
                await self._fetch()
            elif time.monotonic() >= self._ends:
                with suppress(DependencyAwayError):
                    await self._fetch()
            return self._data

    async def current(self) -> Credentials:
        """Return the leased user and password."""
        data = await self.data()
        return Credentials(data["username"], data["password"])

    async def refused(self, credentials: Credentials) -> None:
        """Fetch others, if these are still the ones: somebody has revoked the lease."""
        if credentials.username == self._data.get("username"):
            await self.replace()

    async def replace(self) -> None:
        """Fetch others now, but not again and again. Raises ``DependencyAwayError``."""
        async with self._lock:
            if time.monotonic() - self._fetched > REFETCH:
                await self._fetch()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` each time that others took the place of those handed out."""
        self._callbacks.append(callback)

    def look(self) -> None:
        """Look at the lease now: there is a new session, and leases end with the session they were made in."""
        if self._id:
            self._now.set()

    async def keep(self) -> None:
        """Run for ever: renew, and replace what cannot be renewed."""
        waits = delays()
        while True:
            try:
                await self.data()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._now.wait(), max(0.0, self._renew_at - time.monotonic()))
                self._now.clear()
                await self._renew()
                waits = delays()
            except DependencyAwayError as error:
                log.debug("%s: %s", self.path, error)
                await asyncio.sleep(next(waits))

    async def _renew(self) -> None:
        async with self._lock:
            if not self._id:
                return
            try:
                answer = await self._vault.request("PUT", "sys/leases/renew", {"lease_id": self._id})
                granted = answer["lease_duration"]
            except VaultError as error:  # revoked, at its end, or of a session that is over
                log.info("the lease of %s cannot be renewed: %s", self.path, error)
                granted = 0
            if granted < self._span * TOO_SHORT:
                await self._fetch()
            else:
                self._note(granted)

    async def _fetch(self) -> None:
        try:
            answer = await self._vault.request("GET", self.path)
        except VaultError as error:  # the role is not there yet, or was taken away: it may come back
            raise DependencyAwayError(self._vault.name, f"no credentials: {error}") from error
        before, self._data, self._id = self._data, answer["data"], answer["lease_id"]
        self._fetched, self._span = time.monotonic(), answer["lease_duration"]
        self._note(self._span)
        log.info("credentials of %s are leased", self.path, extra={"seconds": self._span})
        if before:
            for callback in self._callbacks:
                callback()

    def _note(self, seconds: float) -> None:
        now = time.monotonic()
        self._ends, self._renew_at = now + seconds, now + seconds * RENEW_AT
