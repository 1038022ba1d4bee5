"""Users in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg

from services.auth.models import User
from services.common.postgres import Postgres

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_SELECT = """
select u.id, u.username, u.name, u.email, u.active, u.password_hash, u.seed,
       coalesce((select array_agg(r.role order by r.role) from user_roles r where r.user_id = u.id), '{}') as roles
from users u
"""
#: The last one who may manage users must not lose that: nobody could give it back.
_OTHER_ADMINS = """
select exists (select from users u join user_roles r on r.user_id = u.id
               where u.active and r.role = $2 and u.id <> $1)
"""
#: Any number that only changes of administrators use.
_ADMINS_LOCK = 0x41444D494E53


class NameTakenError(Exception):
    """Another user has that name."""


class LastAdminError(Exception):
    """The change would leave nobody who may manage users."""


class Users:
    """All that reads and changes users. Every method may raise ``DependencyAwayError``."""

    def __init__(self, postgres: Postgres, admin_role: str) -> None:
        self._postgres, self._admin = postgres, admin_role

    async def by_name(self, username: str) -> User | None:
        """The user of a name, in whatever case it was typed."""
        name = username.strip().lower()
        return await self._one("where u.username = $1", name) if name.isprintable() else None

    async def by_id(self, key: UUID) -> User | None:
        """The user of an id."""
        return await self._one("where u.id = $1", key)

    async def page(self, limit: int, after: str) -> list[User]:
        """Users by name, those after ``after``."""
        query = f"{_SELECT} where u.username > $1 order by u.username limit $2"
        rows = await self._postgres.run(lambda connection: connection.fetch(query, after, limit))
        return [_user(row) for row in rows]

    async def seeded(self) -> list[User]:
        """Those that came from the settings."""
        query = f"{_SELECT} where u.seed is not null"
        return [_user(row) for row in await self._postgres.run(lambda connection: connection.fetch(query))]

    async def add(self, values: dict[str, Any], roles: tuple[str, ...]) -> User:
        """Make a user. Raises ``NameTakenError``."""
        key = uuid4()  # made here, so that a repetition after a lost connection makes one user

        async def work(connection: PoolConnectionProxy) -> None:
            async with connection.transaction():
                await connection.execute(
                    "insert into users (id, username, name, email, password_hash, active, seed)"
                    " values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing",
                    key,
                    values["username"].lower(),
                    values.get("name", ""),
                    values.get("email"),
                    values["password_hash"],
                    values.get("active", True),
                    values.get("seed"),
                )
                await _give(connection, key, roles)

        try:
            await self._postgres.run(work)
        except asyncpg.UniqueViolationError as error:
            raise NameTakenError(values["username"]) from error
        made = await self.by_id(key)
        assert made is not None
        return made

    async def change(self, key: UUID, values: dict[str, Any], roles: tuple[str, ...] | None = None) -> User | None:
        """Change some columns, and the roles if given. Raises ``LastAdminError``."""
        loses = values.get("active") is False or (roles is not None and self._admin not in roles)

        async def work(connection: PoolConnectionProxy) -> None:
            async with connection.transaction():
                if loses:
                    await self._keep_an_admin(connection, key)
                for column in ("name", "email", "password_hash", "active", "seed"):
                    if column in values:
                        statement = f"update users set {column} = $2, updated_at = now() where id = $1"  # noqa: S608
                        await connection.execute(statement, key, values[column])
                if roles is not None:
                    await _give(connection, key, roles)

        await self._postgres.run(work)
        return await self.by_id(key)

    async def remove(self, key: UUID) -> None:
        """Forget a user, their roles and refresh tokens. Raises ``LastAdminError``."""

        async def work(connection: PoolConnectionProxy) -> None:
            async with connection.transaction():
                await self._keep_an_admin(connection, key)
                await connection.execute("delete from users where id = $1", key)

        await self._postgres.run(work)

    async def _keep_an_admin(self, connection: PoolConnectionProxy, key: UUID) -> None:
        await connection.execute("select pg_advisory_xact_lock($1)", _ADMINS_LOCK)
        had = await connection.fetchval(
            "select exists (select from users u join user_roles r on r.user_id = u.id"
            " where u.id = $1 and u.active and r.role = $2)",
            key,
            self._admin,
        )
        if had and not await connection.fetchval(_OTHER_ADMINS, key, self._admin):
            raise LastAdminError

    async def _one(self, condition: str, value: object) -> User | None:
        row = await self._postgres.run(lambda connection: connection.fetchrow(f"{_SELECT} {condition}", value))
        return _user(row) if row else None


async def _give(connection: PoolConnectionProxy, key: UUID, roles: tuple[str, ...]) -> None:
    await connection.execute("delete from user_roles where user_id = $1 and role <> all($2::text[])", key, list(roles))
    await connection.execute(
        "insert into user_roles (user_id, role) select $1, unnest($2::text[]) on conflict do nothing", key, list(roles)
    )


def _user(row: asyncpg.Record) -> User:
    return User(**{**dict(row), "roles": tuple(row["roles"])})
