"""Signing in: name and password, counted, checked, written down."""

from __future__ import annotations

from services.auth import audit
from services.auth.lock import Lock, LockedError
from services.auth.models import User
from services.auth.passwords import LONGEST, Passwords
from services.auth.users import Users


class Refused(Exception):  # noqa: N818 - not an error of anything here
    """Nobody is signed in; the text is for the person."""

    def __init__(self, text: str, status: int, seconds: int = 0) -> None:
        super().__init__(text)
        self.status, self.seconds = status, seconds


class Login:
    """Checks who someone is."""

    def __init__(self, users: Users, passwords: Passwords, lock: Lock) -> None:
        self._users, self._passwords, self._lock = users, passwords, lock

    async def check(self, username: str, password: str, address: str, client: str) -> User:
        """The user of a name and password. Raises ``Refused``, in words that do not tell whether the name exists."""
        user = await self._users.by_name(username)
        # What was typed as a name may be a password: only names that exist are written down.
        details = {"user": user.username if user else "", "address": address, "client": client}
        try:
            attempt = await self._lock.begin(username, address)
        except LockedError as error:
            audit.record("login", "locked", **details, locked=error.what, seconds=error.seconds)
            text = f"Too many wrong passwords. Please wait {error.seconds} s and try again."
            raise Refused(text, 429, error.seconds) from None
        usable = user.password_hash if user and user.active else None
        right = await self._passwords.check(usable, password[: LONGEST + 1])
        if not right or user is None:
            audit.record("login", "refused", **details, reason="password" if usable else "no such user")
            raise Refused("The user name or the password is not right.", 401)
        await self._lock.right(attempt)
        if self._passwords.outdated(user.password_hash):
            await self._users.change(user.id, {"password_hash": await self._passwords.hash(password)})
        audit.record("login", "success", **details)
        return user
