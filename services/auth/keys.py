"""The signing key: it never leaves Vault; what is known here are its public versions."""

from __future__ import annotations

import base64
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from services.common.dependency import Dependency, DependencyAwayError, explain
from services.common.vault import Vault, VaultError

log = logging.getLogger(__name__)

ALGORITHM = "RS256"
ACCESS, IDENTITY = "at+jwt", "JWT"
#: Seconds between reads of the key that callers' tokens cause, so that made-up tokens cause no load.
REREAD = 2.0


class BadTokenError(Exception):
    """A token that this provider did not issue, or not for this."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the key."""

    number: int
    created: float
    public: RSAKey

    @property
    def kid(self) -> str:
        """The key's name in tokens; the gateway's credentials are named after it as well."""
        return f"v{self.number}"


class SigningKeys(Dependency):
    """The key's live versions, read again with every probe so that a rotation in Vault needs no restart."""

    name = "signing key"

    def __init__(self, vault: Vault, key: str, delay: int) -> None:
        super().__init__()
        self._vault, self._key, self._delay = vault, key, delay
        self._versions: dict[str, Version] = {}
        self._read = 0.0

    async def ping(self) -> None:
        """Read the key."""
        await self.load()

    async def close(self) -> None:
        """Do nothing: the session is Vault's."""

    def connections(self) -> dict[str, int]:
        """Return nothing: the session is Vault's."""
        return {}

    async def load(self) -> None:
        """Read the live versions. Raises ``DependencyAwayError`` and ``VaultError``."""
        self._read = time.monotonic()
        known, found = self._versions, await self._vault.public_keys(self._key)
        self._versions = {f"v{number}": _version(number, entry) for number, entry in sorted(found.items())}
        if known and known.keys() != self._versions.keys():
            log.info("the signing key's versions changed", extra={"versions": list(self._versions)})

    async def jwks(self) -> dict[str, Any]:
        """The public versions as a JSON Web Key Set."""
        if time.monotonic() - self._read > REREAD:
            with suppress(DependencyAwayError, VaultError):
                await self.load()
        await self._loaded()
        return {"keys": [version.public.as_dict(private=False) for version in self._versions.values()]}

    async def current(self) -> Version:
        """The newest version that is old enough for the gateway to know it; the oldest while none is."""
        await self._loaded()
        aged = [v for v in self._versions.values() if v.created <= time.time() - self._delay]
        return max(aged, key=lambda v: v.number) if aged else min(self._versions.values(), key=lambda v: v.number)

    async def sign(self, version: Version, claims: dict[str, Any], kind: str) -> str:
        """Make a token. Raises ``DependencyAwayError``."""
        header = {"alg": ALGORITHM, "typ": kind, "kid": version.kid}
        message = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        try:
            signature = await self._vault.sign(self._key, message.encode(), version.number)
        except (VaultError, DependencyAwayError) as error:
            self.doubt()  # the version may just have been retired: the caller's next try takes another
            log.warning("nothing was signed with %s: %s", version.kid, explain(error))
            raise DependencyAwayError("vault", explain(error)) from error
        return f"{message}.{_encode(signature)}"

    async def verify(self, token: str, kind: str, issuer: str, *, expired: bool = False) -> dict[str, Any]:
        """The claims of a token of ours. Raises ``BadTokenError``; ``expired`` ones pass only where asked for."""
        await self._loaded()
        try:
            header = jws.extract_compact(token.encode()).headers()
            if header.get("kid") not in self._versions and time.monotonic() - self._read > REREAD:
                await self.load()
            if header.get("typ") != kind or header.get("kid") not in self._versions:
                raise BadTokenError("not a token of this kind, or signed by a key that is no longer valid")
            keys = KeySet([version.public for version in self._versions.values()])
            claims = json.loads(jws.deserialize_compact(token, keys, algorithms=[ALGORITHM]).payload)
        except (JoseError, ValueError, UnicodeError, VaultError) as error:
            raise BadTokenError(explain(error)) from error
        if claims.get("iss") != issuer:
            raise BadTokenError("issued by another")
        if not expired and claims.get("exp", 0) <= time.time():
            raise BadTokenError("expired")
        return claims

    async def _loaded(self) -> None:
        if self._versions:
            return
        try:
            await self.load()
        except VaultError as error:
            raise DependencyAwayError("vault", explain(error)) from error
        if not self._versions:
            raise DependencyAwayError("vault", f"the key {self._key} has no live version")


def _version(number: int, entry: dict[str, Any]) -> Version:
    parameters = {"kid": f"v{number}", "use": "sig", "alg": ALGORITHM}
    public = RSAKey.import_key(entry["public_key"], parameters)  # pyright: ignore[reportArgumentType]
    return Version(number, datetime.fromisoformat(entry["creation_time"]).timestamp(), public)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
