"""``nexus:index:GeneratedSecret``: a random string, made once and kept, encrypted, in the state."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import ClassVar

from kind import Field, Kind, Properties, between
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

#: Letters and digits only: a secret is safe in a URL, a shell and a configuration file without quoting.
ALPHABET = string.ascii_letters + string.digits


class GeneratedSecret(Kind):
    """Inputs: ``length`` (16-128 characters), ``keepers`` (any change of them makes a new one). Output: ``value``."""

    fields: ClassVar = {
        "length": Field(float, replaces=True, default=32.0, check=between(16, 128, "characters")),
        "keepers": Field(Mapping, replaces=True),
    }

    def create(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Draw the secret from the system's randomness."""
        value = "".join(secrets.choice(ALPHABET) for _ in range(int(inputs["length"].value)))  # type: ignore[arg-type]
        return {"value": PropertyValue(value, is_secret=True)}

    def planned(self, inputs: Properties) -> Mapping[str, PropertyValue]:
        """Unknown, and a secret."""
        return {"value": PropertyValue(UNKNOWN, is_secret=True)}
