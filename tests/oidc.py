"""An OpenID Connect client as a browser and an application together are: code flow with PKCE, over plain HTTP calls."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet


class OidcError(Exception):
    """The flow ended otherwise than with tokens; ``answer`` is where."""

    def __init__(self, text: str, answer: httpx.Response | None = None) -> None:
        super().__init__(f"{text}: {answer.status_code} {answer.text[:500]}" if answer is not None else text)
        self.answer = answer


class Form(HTMLParser):
    """The first form of a page: where it goes, and what its fields hold."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.action, self.fields, self._base = "", dict[str, str](), str(page.url)
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = urljoin(self._base, values["action"])
        elif tag == "input":
            self.fields[values["name"]] = values.get("value", "")


@dataclass
class Tokens:
    """What a login gave."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    claims: dict[str, Any] = field(default_factory=dict)
    seconds: int = 0

    @property
    def bearer(self) -> dict[str, str]:
        """The header for a call."""
        return {"Authorization": f"Bearer {self.access}"}


@dataclass
class Oidc:
    """One application in one browser. ``http`` holds the browser's cookies; ``verify`` is as httpx has it."""

    issuer: str
    client_id: str = "nexus"
    redirect_uri: str = "http://localhost:8765/callback"
    secret: str | None = field(default=None, repr=False)
    scope: str = "openid profile email roles"
    verify: Any = True
    http: httpx.Client = field(init=False)
    verifier: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(verify=self.verify, timeout=15, trust_env=False)
        self._about: dict[str, Any] = {}

    def close(self) -> None:
        self.http.close()

    @property
    def about(self) -> dict[str, Any]:
        """The provider's own description, read once."""
        if not self._about:
            answer = self.http.get(f"{self.issuer}/.well-known/openid-configuration")
            if answer.status_code != 200:
                raise OidcError("no description", answer)
            self._about = answer.json()
        return self._about

    def request(self, **changes: str | None) -> dict[str, str]:
        """A good authorization request; ``changes`` make it another, None leaves a parameter out."""
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        good: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def authorize(self, request: dict[str, str]) -> httpx.Response:
        """Go to the provider; redirects are not followed."""
        return self.http.get(f"{self.about['authorization_endpoint']}?{urlencode(request)}")

    def sign_in(self, page: httpx.Response, username: str, password: str, **changes: str) -> httpx.Response:
        """Fill the sign-in page's form in and send it, as a browser does."""
        form = Form(page)
        fields = {**form.fields, "username": username, "password": password, **changes}
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(str(page.url)))
        return self.http.post(form.action, data=fields, headers={"Origin": origin})

    def code(self, answer: httpx.Response, request: dict[str, str]) -> str:
        """The code in a redirect, once it is sure that the answer is to this request and from this provider."""
        location = answer.headers.get("location", "")
        if answer.status_code not in (302, 303) or not location.startswith(request["redirect_uri"]):
            raise OidcError("no redirect to the application", answer)
        values = dict(parse_qsl(urlsplit(location).query))
        if "error" in values:
            raise OidcError(f"{values['error']}: {values.get('error_description', '')}")
        if values["state"] != request["state"] or values["iss"] != self.issuer:
            raise OidcError("the answer is not to this request")
        return values["code"]

    def token(self, **fields: str | None) -> httpx.Response:
        """Call the token endpoint as this client."""
        known = {name: value for name, value in fields.items() if value is not None}
        if self.secret:
            return self.http.post(self.about["token_endpoint"], data=known, auth=(self.client_id, self.secret))
        return self.http.post(self.about["token_endpoint"], data={"client_id": self.client_id, **known})

    def redeem(self, code: str, request: dict[str, str], **changes: str | None) -> httpx.Response:
        """Exchange a code."""
        good = {"code": code, "redirect_uri": request["redirect_uri"], "code_verifier": self.verifier}
        return self.token(grant_type="authorization_code", **{**good, **changes})

    def login(self, username: str, password: str, **changes: str | None) -> Tokens:
        """The whole flow. Raises ``OidcError``."""
        request = self.request(**changes)
        answer = self.authorize(request)
        if answer.status_code == 200:
            answer = self.sign_in(answer, username, password)
        return self.tokens(self.redeem(self.code(answer, request), request), request.get("nonce"))

    def tokens(self, answer: httpx.Response, nonce: str | None = None) -> Tokens:
        """The tokens of an answer, the identity token checked."""
        if answer.status_code != 200:
            raise OidcError("no tokens", answer)
        body = answer.json()
        claims = self.checked(body["id_token"], nonce) if "id_token" in body else {}
        return Tokens(body["access_token"], body.get("refresh_token"), body.get("id_token"), claims, body["expires_in"])

    def checked(self, token: str, nonce: str | None = None) -> dict[str, Any]:
        """The claims of an identity token of this provider, for this client (OpenID Connect Core, 3.1.3.7)."""
        rules = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            exp={"essential": True},
        )
        decoded = jwt.decode(token, self.keys(), algorithms=["RS256"])
        rules.validate(decoded.claims)
        if nonce is not None and decoded.claims.get("nonce") != nonce:
            raise OidcError("the identity token is not for this request")
        return decoded.claims

    def keys(self) -> KeySet:
        """The provider's public keys as they are now."""
        return KeySet.import_key_set(self.http.get(self.about["jwks_uri"]).json())

    def refresh(self, tokens: Tokens) -> Tokens:
        """New tokens for a refresh token."""
        return self.tokens(self.token(grant_type="refresh_token", refresh_token=tokens.refresh))

    def logout(self, tokens: Tokens, **fields: str) -> httpx.Response:
        """Log out by the identity token, without a question."""
        query = urlencode({"id_token_hint": tokens.id_token or "", **fields})
        return self.http.get(f"{self.about['end_session_endpoint']}?{query}")


def claims(token: str) -> dict[str, Any]:
    """What a token says, unchecked."""
    import json

    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def query(location: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
