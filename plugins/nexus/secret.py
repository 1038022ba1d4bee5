"""``nexus:index:GeneratedSecret``: a random string, made once and kept, encrypted, in the state."""

from __future__ import annotations

import hmac
import itertools
import secrets
import string
from collections.abc import Mapping
from typing import ClassVar

from kind import Field, Kind, Properties, between, plain
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

#: Letters and digits only: a secret is safe in a URL, a shell and a configuration file without quoting.
ALPHABET = string.ascii_letters + string.digits


class GeneratedSecret(Kind):
    """Inputs: ``length`` (16-128 characters), ``keepers`` (any change of them makes a new one). Output: ``value``.

    A new value is drawn from the one before and from a ``nonce``, which the engine's seed is: so a preview knows it,
    compares what is made of it, and a plan holds for it. Neither the one before nor a plan alone gives it away.
    """

    fields: ClassVar = {
        "length": Field(float, replaces=True, default=32.0, check=between(16, 128, "characters")),
        "keepers": Field(Mapping),
        "nonce": Field(str, compared=False),
    }

    def chosen(self, inputs: Properties, before: Properties, seed: bytes) -> Mapping[str, PropertyValue]:
        """Another nonce with other keepers. The first value has none: there is nothing to draw it from."""
        if not before:
            return {}
        kept = [plain(side["keepers"]) if "keepers" in side else None for side in (before, inputs)]
        if kept[0] != kept[1] and seed:
            return {"nonce": PropertyValue(seed.hex(), is_secret=True)}
        return {"nonce": before["nonce"]} if "nonce" in before else {}

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Draw the secret from the system's randomness."""
        return _secret("".join(secrets.choice(ALPHABET) for _ in range(_length(inputs))))

    def update(self, inputs: Properties, state: Properties) -> Mapping[str, PropertyValue]:
        """Draw the next secret."""
        if "nonce" not in inputs:
            return self.create(inputs)
        return _secret(drawn(plain(state["value"]), plain(inputs["nonce"]), _length(inputs)))

    def planned(self, inputs: Properties, state: Properties) -> Mapping[str, PropertyValue]:
        """The next one is known; the first is not."""
        return self.update(inputs, state) if state and "nonce" in inputs else _secret(UNKNOWN)


def drawn(before: str, nonce: str, length: int) -> str:
    """Characters of ALPHABET, each as likely as any other, from blocks of HMAC-SHA256 (RFC 2104) with a counter."""
    fair = 256 - 256 % len(ALPHABET)
    blocks = (hmac.digest(before.encode(), f"{nonce}:{number}".encode(), "sha256") for number in itertools.count())
    octets = (octet for block in blocks for octet in block if octet < fair)
    return "".join(ALPHABET[octet % len(ALPHABET)] for octet in itertools.islice(octets, length))


def _length(inputs: Properties) -> int:
    return int(plain(inputs["length"]))


def _secret(value: str) -> Mapping[str, PropertyValue]:
    return {"value": PropertyValue(value, is_secret=True)}
