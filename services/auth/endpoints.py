"""What clients call: the provider's documents, its tokens and what becomes of them, facts about a user."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from services.auth.bearer import caller
from services.auth.server import NO_STORE, Provider, answer, engine_request
from services.auth.settings import SCOPES, AuthSettings
from services.auth.tokens import profile

#: Seconds a client may keep the documents; shorter than a new key waits until it signs.
FRESH = 30


def metadata(settings: AuthSettings) -> dict[str, Any]:
    """What this provider can do (OpenID Connect Discovery 1.0; RFC 8414)."""
    issuer, clients = settings.issuer, ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "end_session_endpoint": f"{issuer}/logout",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": list(SCOPES),
        "claims_supported": ["sub", "preferred_username", "name", "email", "roles", "auth_time", "nonce", "sid"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*clients, "none"],
        "revocation_endpoint_auth_methods_supported": [*clients, "none"],
        "introspection_endpoint_auth_methods_supported": clients,
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def documents_router(provider: Provider) -> APIRouter:
    """The documents that clients configure themselves from."""
    router = APIRouter(tags=["provider"])
    fresh = {"Cache-Control": f"public, max-age={FRESH}"}

    @router.get("/.well-known/openid-configuration")
    @router.get("/.well-known/oauth-authorization-server", include_in_schema=False)
    async def configuration() -> Response:
        """Say what this provider can do and where."""
        return JSONResponse(metadata(provider.state.settings), headers=fresh)

    @router.get("/jwks")
    async def jwks() -> Response:
        """List the public keys its tokens are signed with."""
        return JSONResponse(await provider.state.keys.jwks(), headers=fresh)

    return router


def tokens_router(provider: Provider) -> APIRouter:
    """What clients call with their own credentials or a user's token."""
    router, state = APIRouter(tags=["provider"]), provider.state

    @router.post("/token")
    async def token(request: Request) -> Response:
        """Exchange a code, a refresh token or a client's credentials for tokens (RFC 6749, 3.2)."""
        asked = await engine_request(request)
        return await answer(provider, partial(provider.create_token_response, asked))

    @router.post("/revoke")
    async def revoke(request: Request) -> Response:
        """Have a token, and all tokens of its family, no longer count (RFC 7009)."""
        asked = await engine_request(request)
        return await answer(provider, partial(provider.create_endpoint_response, "revocation", asked))

    @router.post("/introspect")
    async def introspect(request: Request) -> Response:
        """Tell a client whether its token still counts (RFC 7662)."""
        asked = await engine_request(request)
        return await answer(provider, partial(provider.create_endpoint_response, "introspection", asked))

    @router.api_route("/userinfo", methods=["GET", "POST"])
    async def userinfo(request: Request) -> Response:
        """Tell a client what its user let it know (OpenID Connect Core, 5.3)."""
        found = await caller(state, request)
        if found.user is None or "openid" not in str(found.claims["scope"]).split():
            challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="openid"'}
            raise HTTPException(403, "This needs a user's token with the scope openid.", challenge)
        return JSONResponse(profile(found.user, found.claims["scope"], state.settings), headers=NO_STORE)

    return router
