"""What all models of settings have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


def _encrypted(value: Any) -> Any:
    """In the file a secret is encrypted; only the running program is given it in the clear."""
    return "" if isinstance(value, Mapping) and set(value) == {"secure"} else value


#: What is set with `pulumi config set --secret`.
Secret = Annotated[SecretStr, BeforeValidator(_encrypted)]
