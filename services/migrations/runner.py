"""Brings databases up to date, several at a time: each in one transaction, as its owner, and alone."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import asyncpg

from services.common.tls import context
from services.migrations import histories
from services.migrations.histories import Step
from services.migrations.settings import Settings, Target

#: Databases at the same time: a login costs some milliseconds of CPU on both sides.
PARALLEL = 6
#: Seconds to wait for a server that is starting, and for one that does not answer.
PATIENCE, CONNECT_SECONDS = 30, 5
#: A revision waits for running queries no longer than this; until it has its lock, others queue behind it.
LOCK_TIMEOUT = "10s"
#: Any number that only this program uses ("NEXUS" in ASCII): two runs at once would both see the old version.
LOCK = 0x4E45585553
STARTING = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TooManyConnectionsError,
)


class RefusedError(Exception):
    """A database is left as it was; the text says which, why, and what to do."""


@dataclass(frozen=True)
class Outcome:
    """What was done to a database, or would be: the revisions, and where it is now."""

    database: str
    history: str
    applied: tuple[str, ...]
    at: str


async def run(settings: Settings, *, check: bool = False) -> list[Outcome | Exception]:
    """Bring every database up to date, or only say what that would do; a failure of one keeps no other from it."""
    places = asyncio.Semaphore(PARALLEL)

    async def one(target: Target) -> Outcome:
        async with places:
            return await migrate(settings, target, check=check)

    jobs = [one(target) for target in settings.migrations]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    return [result if isinstance(result, (Outcome, Exception)) else RuntimeError(repr(result)) for result in done]


async def migrate(settings: Settings, target: Target, *, check: bool) -> Outcome:
    """One database. Raises ``RefusedError`` and whatever the server says."""
    connection = await connect(settings, target)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(f"SET LOCAL ROLE \"{target.owner}\"; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            current = await version(connection, target)
            pending = wanted(target, current)
            for step in () if check else pending:
                await apply(connection, target, step)
        at = current if check or not pending else pending[-1].revision
        return Outcome(target.database, target.history, tuple(step.revision for step in pending), at)
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


async def connect(settings: Settings, target: Target) -> asyncpg.Connection:
    """A connection, also to a server that is only starting."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return await asyncpg.connect(
                host=settings.postgres_host,
                port=settings.postgres_port,
                user=settings.postgres_user,
                password=settings.password,
                ssl=context(settings.postgres_ca_file),
                database=target.database,
                timeout=CONNECT_SECONDS,
                server_settings={"application_name": "migrations"},
            )
        except STARTING:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.2)


async def version(connection: asyncpg.Connection, target: Target) -> str:
    """How far the database is in its history."""
    table = histories.version_table(target.history)
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return histories.BASE
    return await connection.fetchval(f'SELECT version_num FROM "{table}"') or histories.BASE  # noqa: S608  our own name


def wanted(target: Target, current: str) -> tuple[Step, ...]:
    """What is to be done to the database, if it may be; else ``RefusedError``."""
    where = f"database {target.database}"
    try:
        pending = histories.steps(target.history, current)
    except histories.UnknownHistoryError:
        known = ", ".join(histories.names())
        raise RefusedError(
            f"{where}: history {target.history!r} is none of {known}: correct `history` in the service's entry"
        ) from None
    except histories.UnknownRevisionError:
        if current in target.acknowledged:  # an older version of the services runs on the newer schema, knowingly
            return ()
        raise RefusedError(
            f"{where}: it is at revision {current!r} of {target.history!r}, which this version does not know: "
            "a newer one has been here. Run that version again, or restore a backup from before it; if this one can "
            f'work with that schema, set `acknowledged: ["{current}"]` for the service'
        ) from None
    for step in pending:
        if step.unmarked:
            raise RefusedError(
                f"{where}: revision {step.revision!r} of {target.history!r} has {step.unmarked!r}, which loses data, "
                'and does not say so: add `destructive = "what is lost"` to the revision'
            )
        if step.destructive and step.revision not in target.acknowledged:
            raise RefusedError(
                f"{where}: revision {step.revision!r} of {target.history!r} {step.destructive}; what is lost cannot "
                f'be brought back: make a backup, then set `acknowledged: ["{step.revision}"]` for the service'
            )
    return pending


async def apply(connection: asyncpg.Connection, target: Target, step: Step) -> None:
    """One revision; an error names it."""
    try:
        await connection.execute(step.sql)
    except asyncpg.PostgresError as error:
        what = f"database {target.database}: revision {step.revision!r} of {target.history!r}"
        raise RefusedError(f"{what} failed and was taken back: {error}") from error
