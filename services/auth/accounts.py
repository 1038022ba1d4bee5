"""Managing users: by administrators; and each user's own password."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.auth import audit
from services.auth.bearer import Caller, caller
from services.auth.lock import Lock
from services.auth.models import User, digest
from services.auth.passwords import LONGEST, SHORTEST, Passwords
from services.auth.server import State
from services.auth.users import LastAdminError, NameTakenError

Username = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]
Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]
#: Text that PostgreSQL can hold: all but NUL.
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Model):
    """A user to be made."""

    username: Username
    password: Password
    name: Text = ""
    email: Text | None = None
    roles: tuple[str, ...] = ()


class Change(_Model):
    """What to change of a user; what is left out stays."""

    name: Text | None = None
    email: Text | None = None
    active: bool | None = None
    roles: tuple[str, ...] | None = None
    password: Password | None = None


class NewPassword(_Model):
    """A user's own change of password."""

    current: str
    new: Password


class Shown(BaseModel):
    """A user as administrators see it."""

    id: UUID
    username: str
    name: str
    email: str | None
    active: bool
    roles: tuple[str, ...]


class Accounts:
    """The rules of what may be changed, by whom, and what follows."""

    def __init__(self, state: State, passwords: Passwords, lock: Lock) -> None:
        self._state, self._passwords, self._lock = state, passwords, lock
        self._users = state.users

    async def admin(self, request: Request) -> Caller:
        """The caller, if they may manage users. Raises 401 and 403."""
        found = await caller(self._state, request)
        if self._state.settings.admin_role not in found.roles:
            raise HTTPException(403, f"This needs the role {self._state.settings.admin_role}.")
        return found

    async def make(self, new: NewUser, by: Caller) -> User:
        """Make a user. Raises 409 and 422."""
        self._check(new.roles)
        values = new.model_dump(exclude={"password", "roles"})
        values["password_hash"] = await self._passwords.hash(new.password)
        try:
            made = await self._users.add(values, new.roles)
        except NameTakenError:
            raise HTTPException(409, f"There is a user {new.username.lower()} already.") from None
        audit.record("user made", "success", user=made.username, by=by.name)
        return made

    async def change(self, key: UUID, change: Change, by: Caller) -> User:
        """Change a user. Who may no longer log in, or has another password, is logged out. Raises 404, 409, 422."""
        self._check(change.roles or ())
        user = await self.one(key)
        values = change.model_dump(exclude={"password", "roles"}, exclude_unset=True)
        values = {name: value for name, value in values.items() if value is not None or name == "email"}
        if change.password:
            values["password_hash"] = await self._passwords.hash(change.password)
        try:
            changed = await self._users.change(key, values, change.roles)
        except LastAdminError:
            raise _last_admin() from None
        if change.password or change.active is False:
            await self._log_out(key, "changed by an administrator")
        audit.record(
            "user changed", "success", user=user.username, by=by.name, changed=" ".join(change.model_fields_set)
        )
        return changed or user

    async def remove(self, key: UUID, by: Caller) -> None:
        """Forget a user. Raises 404 and 409."""
        user = await self.one(key)
        try:
            await self._users.remove(key)
        except LastAdminError:
            raise _last_admin() from None
        await self._state.sessions.end_all(key)
        audit.record("user removed", "success", user=user.username, by=by.name)

    async def unlock(self, key: UUID, by: Caller) -> None:
        """Forget wrong passwords, so that the user need not wait. Raises 404."""
        user = await self.one(key)
        await self._lock.unlock(digest(user.username))
        audit.record("user unlocked", "success", user=user.username, by=by.name)

    async def log_out(self, key: UUID, by: Caller) -> None:
        """End all sessions of a user. Raises 404."""
        user = await self.one(key)
        await self._log_out(key, "ended by an administrator")
        audit.record("user logged out", "success", user=user.username, by=by.name)

    async def own_password(self, user: User, change: NewPassword) -> None:
        """Change a user's own password. Raises 403, and 429 after too many wrong ones."""
        attempt = await self._lock.begin(user.username, f"own password of {user.id}")
        if not await self._passwords.check(user.password_hash, change.current):
            audit.record("own password", "refused", user=user.username)
            raise HTTPException(403, "The current password is not right.")
        await self._lock.right(attempt)
        await self._users.change(user.id, {"password_hash": await self._passwords.hash(change.new)})
        await self._log_out(user.id, "password changed")
        audit.record("own password", "success", user=user.username)

    async def one(self, key: UUID) -> User:
        """A user. Raises 404."""
        if (user := await self._users.by_id(key)) is None:
            raise HTTPException(404, "There is no such user.")
        return user

    def _check(self, roles: tuple[str, ...]) -> None:
        known = self._state.settings.roles
        if unknown := sorted(set(roles) - known.keys()):
            raise HTTPException(422, f"There is no role {unknown[0]}; there are {', '.join(sorted(known))}.")

    async def _log_out(self, key: UUID, reason: str) -> None:
        await self._state.sessions.end_all(key)
        await self._state.families.end(reason, user_id=key)


def _last_admin() -> HTTPException:
    return HTTPException(409, "Nobody else may manage users; make another administrator first.")


def _shown(user: User) -> Shown:
    return Shown(**{name: getattr(user, name) for name in Shown.model_fields})


def accounts_router(accounts: Accounts, state: State) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["users"])
    by_admin = Depends(accounts.admin)

    @router.get("/users")
    async def users(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, after: Text = "", by: Caller = by_admin
    ) -> list[Shown]:
        """List users by name, those after ``after``."""
        return [_shown(user) for user in await state.users.page(limit, after)]

    @router.post("/users", status_code=201)
    async def make(new: NewUser, request: Request, response: Response, by: Caller = by_admin) -> Shown:
        """Make a user."""
        made = await accounts.make(new, by)
        response.headers["Location"] = f"{state.settings.issuer}/users/{made.id}"
        return _shown(made)

    @router.get("/users/{key}")
    async def one(key: UUID, by: Caller = by_admin) -> Shown:
        """Show a user."""
        return _shown(await accounts.one(key))

    @router.patch("/users/{key}")
    async def change(key: UUID, change: Change, by: Caller = by_admin) -> Shown:
        """Change a user; roles are given as a whole."""
        return _shown(await accounts.change(key, change, by))

    @router.delete("/users/{key}", status_code=204)
    async def remove(key: UUID, by: Caller = by_admin) -> None:
        """Forget a user."""
        await accounts.remove(key, by)

    @router.post("/users/{key}/unlock", status_code=204)
    async def unlock(key: UUID, by: Caller = by_admin) -> None:
        """Forget a user's wrong passwords."""
        await accounts.unlock(key, by)

    @router.delete("/users/{key}/sessions", status_code=204)
    async def log_out(key: UUID, by: Caller = by_admin) -> None:
        """Log a user out everywhere."""
        await accounts.log_out(key, by)

    @router.put("/password", status_code=204)
    async def password(change: Annotated[NewPassword, Body()], request: Request) -> None:
        """Change one's own password, which logs one out everywhere."""
        found = await caller(state, request)
        if found.user is None:
            raise HTTPException(403, "This is for users.")
        await accounts.own_password(found.user, change)

    return router
