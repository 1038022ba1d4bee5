"""Where a user name and password come from: a file, an entry in Vault, or a lease of Vault's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from services.common.dependency import DependencyAwayError

if TYPE_CHECKING:
    from services.common.vault import Vault

#: Seconds between two looks at an entry whose content a server refused: a rotation takes a moment to arrive.
REREAD = 1.0


class VaultError(Exception):
    """Vault answered, and refused: the request is wrong or not allowed, and repeating it will not help."""

    def __init__(self, method: str, path: str, status: int, errors: list[str]) -> None:
        super().__init__(f"{method} {path}: {status} {'; '.join(errors)}"[:500])
        self.status, self.errors = status, errors


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name (empty: the server's default user) and password."""

    username: str
    password: str = field(repr=False)


class Source(Protocol):
    """Gives credentials that may change at any time."""

    async def current(self) -> Credentials:
        """Return what a new connection has to use. Raises ``OSError`` or ``DependencyAwayError``."""
        ...

    async def refused(self, credentials: Credentials) -> None:
        """Be told that the server did not accept these; the next ``current`` may be others."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when others took the place of those handed out; open connections stay good."""
        ...


class FileSource:
    """A user's password in a file, read for each connection, so that a rotation needs no restart."""

    def __init__(self, username: str, file: Path) -> None:
        self._username, self._file = username, file

    async def current(self) -> Credentials:
        """Read the file as it is now."""
        return Credentials(self._username, self._file.read_text(encoding="utf-8").strip())

    async def refused(self, credentials: Credentials) -> None:
        """Do nothing: the file is read each time."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Never call: nobody watches the file."""


class EntrySource:
    """An entry ``{username, password}`` of the service's own in Vault, read again when the server refuses it."""

    def __init__(self, vault: Vault, name: str) -> None:
        self._vault, self._name = vault, name
        self._known: Credentials | None = None
        self._read = 0.0
        self._callbacks: list[Callable[[], None]] = []

    async def current(self) -> Credentials:
        """Return the entry, from memory when it was not refused."""
        if self._known is None:
            try:
                entry = await self._vault.entry(self._name)
            except VaultError as error:  # not there yet: it is made after the container
                raise DependencyAwayError(self._vault.name, f"no credentials: {error}") from error
            self._known, self._read = Credentials(entry["username"], entry["password"]), time.monotonic()
        return self._known

    async def refused(self, credentials: Credentials) -> None:
        """Read the entry anew the next time, but not all the time."""
        if credentials == self._known and time.monotonic() - self._read > REREAD:
            self._known = None
            for callback in self._callbacks:
                callback()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the entry is going to be read again."""
        self._callbacks.append(callback)
