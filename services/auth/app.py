"""The provider's application: what it is made of, and how the parts are connected."""

from __future__ import annotations

import asyncio
import logging

from fastapi import FastAPI, Request, Response

from services.auth import after, grants
from services.auth.accounts import Accounts, accounts_router
from services.auth.browser import browser_router
from services.auth.endpoints import documents_router, tokens_router
from services.auth.families import Families
from services.auth.keys import SigningKeys
from services.auth.lock import Lock, LockedError
from services.auth.login import Login
from services.auth.passwords import Passwords
from services.auth.seed import Seed
from services.auth.server import Provider, State
from services.auth.sessions import Sessions
from services.auth.settings import load
from services.auth.tokens import Tokens
from services.auth.users import Users
from services.common.application import build
from services.common.connections import connect
from services.common.dependency import DependencyAwayError
from services.common.problems import problem
from services.common.settings import Settings

log = logging.getLogger(__name__)

#: Seconds between two cleanings of what has expired.
CLEANING = 3600
TABLES = ("users", "user_roles", "clients", "refresh_families", "refresh_tokens")


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Raises ``SettingsError``."""
    own = load(settings)
    connections = connect(settings)
    vault, postgres, redis = connections.vault, connections.postgres, connections.redis
    assert vault and postgres and redis, "checked with the settings"
    postgres.tables = TABLES
    passwords, lock = Passwords(), Lock(redis, own.lock)
    keys = SigningKeys(vault, own.signing_key, own.key_delay_seconds)
    state = State(
        settings=own,
        users=Users(postgres, own.admin_role),
        families=Families(postgres, own.refresh_seconds),
        sessions=Sessions(redis, own),
        keys=keys,
        tokens=Tokens(keys, own),
    )
    seed = Seed(vault, state, passwords)
    provider = Provider(state)
    grants.install(provider)
    after.install(provider)
    app = build(
        settings,
        [*connections.used, keys, seed],
        "Signs people and applications in: OAuth 2.0 and OpenID Connect.",
        background=[seed.watch, lambda: _clean(state.families)],
    )
    app.add_exception_handler(LockedError, _locked)
    app.include_router(documents_router(provider))
    app.include_router(tokens_router(provider))
    app.include_router(browser_router(provider, Login(state.users, passwords, lock)))
    app.include_router(accounts_router(Accounts(state, passwords, lock), state))
    return app


async def _clean(families: Families) -> None:
    while True:
        await asyncio.sleep(CLEANING)
        try:
            await families.forget_expired()
        except DependencyAwayError as error:
            log.warning("expired families were not deleted: %s", error)


async def _locked(_: Request, error: Exception) -> Response:
    assert isinstance(error, LockedError)
    return problem(429, f"Too many tries; wait {error.seconds} s.", {"Retry-After": str(error.seconds)})
