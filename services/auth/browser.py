"""What a person's browser goes to: asking for a code, signing in and out."""

from __future__ import annotations

import hmac
import time
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oidc.core.errors import LoginRequiredError
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from services.auth.after import end
from services.auth.login import Login, Refused
from services.auth.models import User, new_secret
from services.auth.pages import message, page
from services.auth.server import Provider, ProviderRequest, engine_request
from services.auth.sessions import Session

SESSION, LOGIN = "nexus_session", "nexus_login"
#: Seconds a sign-in page may stay open.
PATIENCE = 3600
STALE = "This page was open for too long, or was not sent by this site. Please try again."


class Browser:
    """The pages' logic; the routes below only name it."""

    def __init__(self, provider: Provider, login: Login) -> None:
        self._provider, self._state, self._login = provider, provider.state, login
        self._settings = provider.state.settings

    async def authorize(self, request: Request) -> Response:
        """Answer with a code for someone signed in, with the sign-in page for others."""
        session = await self._session(request)
        user = await self._state.users.by_id(session.user_id) if session else None
        user = user if user and user.active else None
        asked = await engine_request(request, session)
        try:
            grant = await run_in_threadpool(partial(self._provider.get_consent_grant, asked, user))
            if user and not self._must_sign_in(asked, session, grant.prompt):
                return await self._grant(asked, user, grant)
            if "none" in asked.form.get("prompt", "").split():
                raise LoginRequiredError(redirect_uri=grant.redirect_uri, state=asked.payload.state)
        except OAuth2Error as error:
            return self._refuse(error)
        return self._page(request, asked, grant, status=200)

    async def sign_in(self, request: Request) -> Response:
        """Check the password and go on with what the browser came for."""
        form = {name: str(value) for name, value in (await request.form(max_files=0, max_fields=10)).items()}
        asked = ProviderRequest("GET", parse_qsl(form.get("request", "")), {})
        try:
            grant = await run_in_threadpool(partial(self._provider.get_consent_grant, asked, None))
        except OAuth2Error as error:
            return self._refuse(error)
        if not self._is_own(request, request.cookies.get(LOGIN), form.get("csrf")):
            return self._page(request, asked, grant, status=403, text=STALE)
        username = form.get("username", "")
        try:
            user = await self._login.check(username, form.get("password", ""), address(request), asked.client.id)
        except Refused as refused:
            answer = self._page(request, asked, grant, status=refused.status, text=str(refused), username=username)
            if refused.seconds:
                answer.headers["Retry-After"] = str(refused.seconds)
            return answer
        asked.session, secret = await self._start(request, user)
        asked.user = user
        answer = await self._grant(asked, user, grant)
        self._set(answer, SESSION, secret, self._settings.session_seconds, "lax")
        self._set(answer, LOGIN, "", 0, "strict")
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session; ask first where the request could be anyone's."""
        session = await self._session(request)
        asked = await engine_request(request, session)
        validate = getattr(self._provider, "validate_endpoint_request")  # noqa: B009 - pyright does not know of it
        try:
            asked.payload.check()
            wanted = await run_in_threadpool(partial(validate, "end_session", asked))
        except OAuth2Error as error:
            return self._refuse(error)
        claims = wanted.id_token_claims
        own = claims is None or session is None or claims.get("sub") == str(session.user_id)
        confirmed = session and self._is_own(request, session.csrf, asked.form.get("csrf"))
        if session and not confirmed and (claims is None or not own):
            return page("logout.html", csrf=session.csrf)
        await end(self._state, session.key if session else None, (claims or {}).get("sid"))
        answer = message("Signed out", "You may close this page.", 200)
        if wanted.redirect_uri:
            answer = Response(status_code=303, headers={"Location": wanted.redirect_uri})
        self._set(answer, SESSION, "", 0, "lax")
        return answer

    def _must_sign_in(self, asked: ProviderRequest, session: Session | None, prompt: str | None) -> bool:
        if session is None or prompt == "login" or "login" in asked.form.get("prompt", "").split():
            return True
        oldest = asked.form.get("max_age", "")
        return oldest.isdecimal() and time.time() - session.auth_time > int(oldest)

    async def _grant(self, asked: ProviderRequest, user: User, grant: Any) -> Response:
        return await run_in_threadpool(partial(self._provider.create_authorization_response, asked, user, grant))

    def _refuse(self, error: OAuth2Error) -> Response:
        """Tell the client when it is known where it is, else the person."""
        if error.redirect_uri:
            return self._provider.name_issuer(self._provider.handle_response(*error()))
        text = f"{error.get_error_description() or error.error} The application that sent you here has to be corrected."
        return message("This cannot be done", text, 400)

    def _page(
        self, request: Request, asked: ProviderRequest, grant: Any, *, status: int, text: str = "", username: str = ""
    ) -> Response:
        csrf = request.cookies.get(LOGIN) or new_secret()
        answer = page(
            "login.html",
            status,
            leads_to=grant.redirect_uri,
            client=asked.client.name,
            csrf=csrf,
            message=text,
            request=urlencode(asked.form),
            username=username or asked.form.get("login_hint", ""),
        )
        self._set(answer, LOGIN, csrf, PATIENCE, "strict")
        return answer

    def _is_own(self, request: Request, expected: str | None, given: str | None) -> bool:
        """Whether a form was sent by a page of ours: it holds what the cookie or session does, from our origin."""
        if not expected or not given or not hmac.compare_digest(expected.encode(), given.encode()):
            return False
        if site := request.headers.get("sec-fetch-site"):
            return site == "same-origin"
        return request.headers.get("origin", self._settings.origin) == self._settings.origin

    async def _session(self, request: Request) -> Session | None:
        return await self._state.sessions.read(request.cookies.get(SESSION))

    async def _start(self, request: Request, user: User) -> tuple[Session, str]:
        """Begin a session with an id of its own; what the browser had before goes over, or ends with another user."""
        before = await self._session(request)
        session, secret = await self._state.sessions.start(user.id)
        if before and before.user_id == user.id:
            await self._state.families.move(before.key, session.key)
            await self._state.sessions.end(before.key)
        elif before:
            await end(self._state, before.key, None)
        return session, secret

    def _set(self, answer: Response, name: str, value: str, seconds: int, same_site: Any) -> None:
        path = self._settings.path or "/"
        answer.set_cookie(
            name, value, seconds, path=path, secure=self._settings.secure, httponly=True, samesite=same_site
        )


def address(request: Request) -> str:
    """Where the request comes from: the gateway adds that as the last of the header, whatever the caller wrote."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or (request.client.host if request.client else "")


def browser_router(provider: Provider, login: Login) -> APIRouter:
    """The routes."""
    router, browser = APIRouter(tags=["sign-in"]), Browser(provider, login)
    router.add_api_route("/authorize", browser.authorize, methods=["GET", "POST"], response_class=Response)
    router.add_api_route("/login", browser.sign_in, methods=["POST"], response_class=Response)
    router.add_api_route("/logout", browser.sign_out, methods=["GET", "POST"], response_class=Response)
    return router
