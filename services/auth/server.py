"""Authlib's protocol engine on this application: what it asks for and how it is answered.

The engine is synchronous and runs in a worker thread; what it asks of PostgreSQL, Redis and Vault runs on the
application's event loop meanwhile.
"""

# Authlib has no types of its own; those that pyright brings along are narrower than what it accepts and returns.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from anyio import from_thread
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, OAuth2Error, OAuth2Payload, OAuth2Request
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from services.auth.families import Families
from services.auth.keys import SigningKeys
from services.auth.models import Client
from services.auth.sessions import Session, Sessions
from services.auth.settings import SCOPES, AuthSettings
from services.auth.tokens import Tokens
from services.auth.users import Users

T = TypeVar("T")

#: Enough for every parameter there is; more is no request.
MAX_FIELDS, MAX_LENGTH = 30, 4096
#: What error descriptions, into which some of the values go, may hold (RFC 6749, 4.1.2.1).
_PLAIN = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
#: Values that clients choose freely, and passwords' kin; they go nowhere but back or into a comparison.
_FREE = frozenset({"state", "nonce", "login_hint", "client_secret", "ui_locales"})
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def wait(work: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
    """Run a coroutine on the application's loop, from the engine's thread."""
    return from_thread.run(work, *arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All parts of the provider that requests use."""

    settings: AuthSettings
    users: Users
    families: Families
    sessions: Sessions
    keys: SigningKeys
    tokens: Tokens


class Payload(OAuth2Payload):
    """A request's parameters; an empty one counts as left out (RFC 6749, 3.1)."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._lists: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            if value:
                self._lists[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        """The parameters, each once."""
        return {name: values[0] for name, values in self._lists.items()}

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """The parameters as often as they came."""
        return self._lists

    def check(self) -> None:
        """Refuse what no protocol allows. Raises ``InvalidRequestError``."""
        if len(self._lists) > MAX_FIELDS or any(len(value) > MAX_LENGTH for value in self.data.values()):
            raise InvalidRequestError("The request is too large.")
        for name, values in self._lists.items():
            if len(values) > 1:
                raise InvalidRequestError("A parameter is repeated.")
            if name not in _FREE and not _PLAIN.fullmatch(values[0]):
                raise InvalidRequestError("A parameter has a character that it must not have.")


class ProviderRequest(OAuth2Request):
    """A request as the engine wants it. ``session`` is the browser's, when there is one."""

    payload: Payload
    #: The engine puts them here; each is of the kind that the grant at hand is about.
    client: Any
    user: Any
    authorization_code: Any
    refresh_token: Any

    def __init__(self, method: str, pairs: Sequence[tuple[str, str]], headers: dict[str, str]) -> None:
        # The engine asks for https. TLS ends at the gateway, and what the browser sees is the settings' public URL.
        super().__init__(method, "https://provider/", headers=headers)
        self.payload = Payload(pairs)
        self.session: Session | None = None
        #: The refresh token that is being issued, until it is stored.
        self.new_refresh_token: str | None = None

    @property
    def form(self) -> dict[str, str]:
        """The parameters; the routes take them from the body where the protocol says so."""
        return self.payload.data

    @property
    def args(self) -> dict[str, str]:
        """The same: nothing is sent in both places."""
        return self.payload.data


class Provider(AuthorizationServer):
    """The engine, connected to the provider's state."""

    def __init__(self, state: State) -> None:
        super().__init__(scopes_supported=list(SCOPES))
        self.state = state

    def query_client(self, client_id: str) -> Client | None:
        """See ``AuthorizationServer``."""
        return wait(self.state.families.client, client_id)

    def save_token(self, token: dict[str, Any], request: ProviderRequest) -> None:
        """Do nothing: each grant stores its own, as they differ."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Do nothing: nobody listens."""

    def create_oauth2_request(self, request: ProviderRequest) -> ProviderRequest:
        """Check what the route made; the engine would put any character into its descriptions."""
        request.payload.check()
        return request

    def handle_response(
        self, status: int, body: Any, headers: Mapping[str, str] | Sequence[tuple[str, str]]
    ) -> Response:
        """Turn the engine's answer into the application's."""
        own = dict(headers) | NO_STORE
        if status == 302:
            return Response(status_code=303, headers=own)  # whatever the method was, the browser is to GET the next
        return JSONResponse(body, status, own)

    def create_authorization_response(
        self, request: ProviderRequest, grant_user: object = None, grant: Any = None
    ) -> Response:
        """Add who answered to the redirect (RFC 9207), against a mix-up of providers."""
        return self.name_issuer(cast(Response, super().create_authorization_response(request, grant_user, grant)))

    def name_issuer(self, response: Response) -> Response:
        """Add ``iss`` to a redirect to a client."""
        if location := response.headers.get("location"):
            response.headers["location"] = add_params_to_uri(location, [("iss", self.state.settings.issuer)])
        return response


async def engine_request(request: Request, session: Session | None = None) -> ProviderRequest:
    """Read a request's parameters: of the body for POST, else of the query."""
    if request.method == "POST":
        form = await request.form(max_files=0, max_fields=MAX_FIELDS)
        pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    else:
        pairs = list(request.query_params.multi_items())
    made = ProviderRequest(request.method, pairs, _basic(request))
    made.session = session
    return made


def _basic(request: Request) -> dict[str, str]:
    """A client's credentials, if they can be read: the engine fails at what is not text."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        if kind.lower() == "basic" and value and base64.b64decode(value, validate=True).decode().isprintable():
            return {"Authorization": f"Basic {value}"}
    except ValueError:
        pass
    return {}


async def answer(provider: Provider, work: Callable[[], Any]) -> Response:
    """Run the engine in a thread; an error that it does not turn into an answer itself becomes one here."""
    try:
        return await run_in_threadpool(work)
    except OAuth2Error as error:
        return provider.handle_response(*error())
