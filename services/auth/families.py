"""Clients and families of refresh tokens in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from services.auth.models import Client, Code, Family, digest
from services.common.postgres import Postgres

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_CLIENT = "select id, name, redirect_uris, post_logout_redirect_uris, grants, scopes, roles, secret_digest from clients"
_LISTS = ("redirect_uris", "post_logout_redirect_uris", "grants", "scopes", "roles")
_FAMILY = "f.id, f.client_id, f.user_id, f.session, f.scope, f.auth_time, f.expires_at, f.ended_at"
_NEW_FAMILY = """
insert into refresh_families (id, client_id, user_id, session, scope, auth_time, expires_at, ended_at, reason)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


class ReusedError(Exception):
    """A refresh token came a second time: one of its two bearers stole it."""

    def __init__(self, family: Family) -> None:
        super().__init__(str(family.id))
        self.family = family


class Families:
    """All that reads and changes clients and families. Every method may raise ``DependencyAwayError``."""

    def __init__(self, postgres: Postgres, lifetime: int) -> None:
        self._postgres, self._lifetime = postgres, timedelta(seconds=lifetime)

    async def client(self, key: str) -> Client | None:
        """The client of an id."""
        row = await self._row(f"{_CLIENT} where id = $1", key)
        return Client(**{**dict(row), **{name: tuple(row[name]) for name in _LISTS}}) if row else None

    async def set_clients(self, clients: list[Client]) -> None:
        """Have these clients and no others; tokens of those that go end with them."""

        async def work(connection: PoolConnectionProxy) -> None:
            async with connection.transaction():
                await connection.execute("delete from clients where id <> all($1::text[])", [c.id for c in clients])
                for client in clients:
                    await connection.execute(
                        "insert into clients (id, name, redirect_uris, post_logout_redirect_uris, grants, scopes,"
                        " roles, secret_digest) values ($1, $2, $3, $4, $5, $6, $7, $8)"
                        " on conflict (id) do update set name = $2, redirect_uris = $3,"
                        " post_logout_redirect_uris = $4, grants = $5, scopes = $6, roles = $7, secret_digest = $8",
                        client.id,
                        client.name,
                        *(list(getattr(client, name)) for name in _LISTS),
                        client.secret_digest,
                    )

        await self._postgres.run(work)

    async def begin(self, code: Code, refresh_token: str | None) -> bool:
        """Start the family of a code, with its first refresh token; False when it has been ended already."""

        async def work(connection: PoolConnectionProxy) -> bool:
            async with connection.transaction():
                await connection.execute(f"{_NEW_FAMILY} on conflict (id) do nothing", *self._values(code))
                if await connection.fetchval("select ended_at from refresh_families where id = $1", code.family):
                    return False
                if refresh_token:
                    await _remember(connection, code.family, refresh_token)
                return True

        return await self._postgres.run(work)

    async def end_of_code(self, code: Code, reason: str) -> None:
        """End the family of a code, also when it is only about to begin."""
        ended = f"{_NEW_FAMILY} on conflict (id) do update set ended_at = now(), reason = $9"
        values = (*self._values(code)[:7], datetime.now(UTC), reason)
        await self._postgres.run(lambda connection: connection.execute(ended, *values))

    async def family_of(self, refresh_token: str) -> Family | None:
        """The living family a refresh token stands for. Raises ``ReusedError`` when the token has been replaced."""
        token = digest(refresh_token)
        row = await self._row(
            f"select {_FAMILY}, t.replaced_by from refresh_families f"  # noqa: S608
            " join refresh_tokens t on t.family = f.id where t.digest = $1",
            token,
        )
        if row is None:
            return None
        family = _family(row, token)
        if row["replaced_by"] is not None:
            raise ReusedError(family)
        return family if family.ended_at is None and family.expires_at > datetime.now(UTC) else None

    async def family(self, key: UUID) -> Family | None:
        """The family of an id, ended or not."""
        row = await self._row(f"select {_FAMILY} from refresh_families f where f.id = $1", key)  # noqa: S608
        return _family(row) if row else None

    async def rotate(self, family: Family, new: str) -> None:
        """Replace the family's token in hand. Of two that try, one gets through; the other gets ``ReusedError``."""

        async def work(connection: PoolConnectionProxy) -> bool:
            async with connection.transaction():
                done = await connection.fetchval(
                    "update refresh_tokens t set replaced_by = $2 from refresh_families f"
                    " where t.digest = $1 and f.id = t.family and f.ended_at is null"
                    # A repetition after a lost connection finds its own work done.
                    " and (t.replaced_by is null or t.replaced_by = $2) returning true",
                    family.token,
                    digest(new),
                )
                if done:
                    await _remember(connection, family.id, new)
                return bool(done)

        if not await self._postgres.run(work):
            raise ReusedError(family)

    async def end(self, reason: str, **condition: Any) -> list[UUID]:
        """End the families with these columns, e.g. ``end("logout", session=...)``; return their ids."""
        (column, value), *more = condition.items()
        assert not more and column in ("id", "user_id", "session", "client_id")
        rows = await self._postgres.run(
            lambda connection: connection.fetch(
                f"update refresh_families set ended_at = now(), reason = $2 where {column} = $1"  # noqa: S608
                " and ended_at is null returning id",
                value,
                reason,
            )
        )
        return [row["id"] for row in rows]

    async def move(self, session: str, to: str) -> None:
        """Have families live with another session: the same user has signed in once more in the same browser."""
        statement = "update refresh_families set session = $2 where session = $1"
        await self._postgres.run(lambda connection: connection.execute(statement, session, to))

    async def forget_expired(self) -> None:
        """Delete families that have been of no use for a day; until then a reuse is still recognised."""
        statement = "delete from refresh_families where expires_at < now() - interval '1 day'"
        await self._postgres.run(lambda connection: connection.execute(statement))

    async def _row(self, query: str, value: object) -> asyncpg.Record | None:
        return await self._postgres.run(lambda connection: connection.fetchrow(query, value))

    def _values(self, code: Code) -> tuple[Any, ...]:
        expires = datetime.now(UTC) + self._lifetime
        return code.family, code.client_id, code.user_id, code.session, code.scope, code.auth_time, expires, None, None


async def _remember(connection: PoolConnectionProxy, family: UUID, refresh_token: str) -> None:
    await connection.execute(
        "insert into refresh_tokens (digest, family) values ($1, $2) on conflict do nothing",
        digest(refresh_token),
        family,
    )


def _family(row: asyncpg.Record, token: str = "") -> Family:
    return Family(**{name: row[name] for name in Family.__slots__ if name != "token"}, token=token)
