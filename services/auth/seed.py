"""Users and clients that the stack's settings declare. They come through Vault, as there are passwords among them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.auth import audit
from services.auth.models import Client, User, digest
from services.auth.passwords import Passwords
from services.auth.server import State
from services.auth.settings import SCOPES
from services.auth.users import LastAdminError, NameTakenError
from services.common.dependency import Dependency, DependencyAwayError, delays, explain
from services.common.vault import Vault, VaultError

log = logging.getLogger(__name__)

#: The entry below the service's own in Vault.
ENTRY = "seed"
#: A client's secret is made by a machine and stored as a fast hash: a short one could be tried out.
SECRET_LENGTH = 24


def _parsed(value: object) -> object:
    """Vault keeps strings; a list may have been written as JSON."""
    return json.loads(value) if isinstance(value, str) else value


class _Seed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeedUser(_Seed):
    """Someone who can sign in at first."""

    username: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]
    password: Annotated[str, Field(min_length=12, max_length=256, repr=False)]
    roles: tuple[str, ...] = ()
    name: Annotated[str, Field(max_length=200)] = ""
    email: Annotated[str | None, AfterValidator(lambda value: value or None)] = None


class SeedClient(_Seed):
    """An application. Without a secret it is public."""

    id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$")]
    name: str = ""
    secret: Annotated[str | None, Field(min_length=SECRET_LENGTH, repr=False)] = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    scopes: tuple[str, ...] = SCOPES
    roles: tuple[str, ...] = ()

    def client(self) -> Client:
        """As it is stored."""
        values = self.model_dump(exclude={"secret"})
        hashed = digest(self.secret) if self.secret else None
        return Client(**{**values, "name": self.name or self.id}, secret_digest=hashed)


class SeedEntry(_Seed):
    """The whole entry."""

    users: Annotated[tuple[SeedUser, ...], BeforeValidator(_parsed)] = ()
    clients: Annotated[tuple[SeedClient, ...], BeforeValidator(_parsed)] = ()


class SeedError(Exception):
    """The entry cannot be used."""


class Seed(Dependency):
    """Keeps users and clients as the entry says. The service is ready once they have been so."""

    name = "users"

    def __init__(self, vault: Vault, state: State, passwords: Passwords) -> None:
        super().__init__()
        self._vault, self._passwords, self._refresh = vault, passwords, state.settings.seed_refresh_seconds
        self._users, self._families, self._sessions = state.users, state.families, state.sessions
        self._applied = ""
        self._problem = "not read yet"

    async def ping(self) -> None:
        """Raise ``SeedError`` until the entry has been applied."""
        if not self._applied:
            raise SeedError(self._problem)

    async def close(self) -> None:
        """Do nothing: the connections are the others'."""

    def connections(self) -> dict[str, int]:
        """Return nothing: the connections are the others'."""
        return {}

    async def watch(self) -> None:
        """Run for ever: apply the entry, and again when it has changed."""
        waits = delays()
        while True:
            try:
                await self.apply()
                waits = delays()
                await asyncio.sleep(self._refresh)
            except (DependencyAwayError, VaultError, SeedError, NameTakenError) as error:
                if self._problem != explain(error):
                    log.warning("users and clients are not up to date: %s", explain(error))
                self._problem = explain(error)
                await asyncio.sleep(next(waits))

    async def apply(self) -> None:
        """Bring users and clients to what the entry says now. May be repeated, and broken off, at any point."""
        content = await self._vault.entry(ENTRY)
        state = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        if state == self._applied:
            return
        entry = read(content)
        await self._families.set_clients([client.client() for client in entry.clients])
        for wanted in entry.users:
            await self._apply_user(wanted)
        names = {user.username.lower() for user in entry.users}
        for user in await self._users.seeded():
            if user.seed and user.username not in names:
                await self._retire(user)
        self._applied = state
        log.info("users and clients applied", extra={"users": len(entry.users), "clients": len(entry.clients)})
        self.doubt()

    async def _apply_user(self, wanted: SeedUser) -> None:
        text = wanted.model_dump_json()
        user = await self._users.by_name(wanted.username)
        # What an administrator changed since stays: only a changed entry is applied. It is kept as a slow hash, as a
        # fast one would make the password in it easy to find.
        if user and user.seed and await self._passwords.check(user.seed, text):
            return
        values: dict[str, Any] = {"name": wanted.name, "email": wanted.email, "active": True}
        values["password_hash"] = await self._passwords.hash(wanted.password)
        values["seed"] = await self._passwords.hash(text)
        if user is None:
            await self._users.add({**values, "username": wanted.username}, wanted.roles)
        else:
            try:
                await self._users.change(user.id, values, wanted.roles)
            except LastAdminError:
                raise SeedError(f"{user.username} would lose its role, and nobody else could manage users") from None
            await self._out(user, "seed changed")
        audit.record("seed", "success", user=wanted.username.lower(), change="changed" if user else "made")

    async def _retire(self, user: User) -> None:
        try:
            await self._users.change(user.id, {"active": False, "seed": ""})
        except LastAdminError:
            log.warning("%s is no longer declared and stays, as nobody else could manage users", user.username)
            return
        await self._out(user, "seed removed")
        audit.record("seed", "success", user=user.username, change="deactivated")

    async def _out(self, user: User, reason: str) -> None:
        await self._sessions.end_all(user.id)
        await self._families.end(reason, user_id=user.id)


def read(content: dict[str, Any]) -> SeedEntry:
    """Check the entry. Raises ``SeedError``, which names fields and never their values."""
    try:
        return SeedEntry.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SeedError(f"the entry {ENTRY} in Vault: {where}: {first['msg']}") from None
