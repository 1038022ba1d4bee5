"""The two resources that no published provider has and a stack of containers needs.

``nexus:index:GeneratedSecret``
    A random string made once and kept, encrypted, in the state. Inputs: ``length`` (16-128 characters), ``keepers``
    (any change of them makes a new secret). Output: ``value``.

``nexus:index:Exec``
    A command run inside a container until it succeeds, and again whenever one of its inputs changes. It is both the
    readiness gate (the server's own client answers) and the way a server is told its databases and roles. Inputs:
    ``container``, ``containerId``, ``command``, ``stdin``, ``timeout`` (seconds). What depends on its id runs after it.
"""

from __future__ import annotations

import asyncio
import difflib
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pulumi.provider.experimental import property_value, provider
from pulumi.runtime.rpc import UNKNOWN

PropertyValue = property_value.PropertyValue
Properties = dict[str, property_value.PropertyValue]

#: Letters and digits only: a secret is safe in a URL, a shell and a configuration file without quoting.
ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Field:
    """One input: the Python type it must have, whether it must be given, and whether a change of it replaces."""

    type: type | tuple[type, ...]
    required: bool = False
    replaces: bool = False
    default: object = None
    check: Callable[[object], str | None] = lambda _: None


def between(low: int, high: int, unit: str) -> Callable[[object], str | None]:
    """A check that a number lies in a range, worded for a person."""
    return lambda value: (
        None
        if isinstance(value, (int, float)) and low <= value <= high
        else f"must be {low}-{high} {unit}, got {value}"
    )


FIELDS: Mapping[str, Mapping[str, Field]] = {
    "nexus:index:GeneratedSecret": {
        "length": Field((int, float), replaces=True, default=32.0, check=between(16, 128, "characters")),
        "keepers": Field(Mapping, replaces=True),
    },
    "nexus:index:Exec": {
        "container": Field(str, required=True),
        "containerId": Field(str, required=True),
        "command": Field((list, tuple), required=True, check=lambda v: None if v else "must name a command"),
        "stdin": Field(str),
        "timeout": Field((int, float), default=120.0, check=between(1, 3600, "seconds")),
    },
}


def problem(name: str, field: Field | None, value: PropertyValue, known: Mapping[str, Field]) -> str | None:
    """What is wrong with one input, or None."""
    if field is None:
        near = difflib.get_close_matches(name, known, n=1)
        return f"unknown field {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if value.value == UNKNOWN:
        return None
    if not isinstance(value.value, field.type):
        return f"must be {field.type}, got {type(value.value).__name__}"
    return field.check(value.value)


def type_token(qualified: str) -> str:
    """The resource's own type: in a URN the types of its parents come before it, joined by ``$``."""
    return qualified.rsplit("$", 1)[-1]


class NexusProvider(provider.Provider):
    """The provider: inputs are checked against ``FIELDS``, the rest is the same for both types."""

    async def check_config(self, request: provider.CheckRequest) -> provider.CheckResponse:
        """The provider has nothing to configure: Docker is found as the Docker client finds it (DOCKER_HOST ...)."""
        return provider.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: provider.DiffRequest) -> provider.DiffResponse:
        """Nothing to configure, so nothing differs."""
        return provider.DiffResponse(changes=False)

    async def configure(self, request: provider.ConfigureRequest) -> provider.ConfigureResponse:
        """Accept secrets and previews."""
        return provider.ConfigureResponse(accept_secrets=True, supports_preview=True, accept_resources=False)

    async def check(self, request: provider.CheckRequest) -> provider.CheckResponse:
        """Fill defaults; refuse unknown, missing and out-of-range inputs, each by its name."""
        kind = type_token(request.type)
        known = FIELDS.get(kind)
        if known is None:
            return provider.CheckResponse(failures=[provider.CheckFailure("", f"unknown type {kind}")])
        given = {k: v for k, v in request.new_inputs.items() if v.value is not None and not k.startswith("__")}
        failures = [
            provider.CheckFailure(name, reason)
            for name, value in given.items()
            if (reason := problem(name, known.get(name), value, known))
        ]
        failures += [
            provider.CheckFailure(name, f"missing required field {name!r}")
            for name, field in known.items()
            if field.required and name not in given
        ]
        defaults = {n: PropertyValue(f.default) for n, f in known.items() if f.default is not None and n not in given}  # type: ignore[arg-type]
        return provider.CheckResponse(inputs={**defaults, **given}, failures=failures)

    async def diff(self, request: provider.DiffRequest) -> provider.DiffResponse:
        """Compare inputs field by field, so that a preview names just what changed."""
        known = FIELDS[type_token(request.type)]
        detailed = {}
        for name, field in known.items():
            old, new = request.old_inputs.get(name), request.new_inputs.get(name)
            if (old.value if old else None) == (new.value if new else None):
                continue
            kinds = provider.PropertyDiffKind
            kind = kinds.ADD if old is None else kinds.DELETE if new is None else kinds.UPDATE
            kind = kinds(kind.value + 1) if field.replaces else kind
            detailed[name] = provider.PropertyDiff(kind, input_diff=True)
        return provider.DiffResponse(
            changes=bool(detailed),
            diffs=list(detailed),
            replaces=[name for name in detailed if known[name].replaces],
            detailed_diff=detailed,
        )

    async def create(self, request: provider.CreateRequest) -> provider.CreateResponse:
        """Make the secret, or run the command."""
        if type_token(request.type) == "nexus:index:GeneratedSecret":
            length = int(request.properties["length"].value)  # type: ignore[arg-type]
            value = UNKNOWN if request.preview else "".join(secrets.choice(ALPHABET) for _ in range(length))
            made = {"value": PropertyValue(value, is_secret=True)}
            return provider.CreateResponse(secrets.token_hex(8), {**request.properties, **made})
        if not request.preview:
            await run(request.properties)
        return provider.CreateResponse(f"{request.name}-{secrets.token_hex(4)}", request.properties)

    async def update(self, request: provider.UpdateRequest) -> provider.UpdateResponse:
        """Only Exec updates in place: run the command again."""
        if not request.preview:
            await run(request.news)
        return provider.UpdateResponse(request.news)

    async def read(self, request: provider.ReadRequest) -> provider.ReadResponse:
        """Neither type has an object of its own outside the state, so there is nothing that could have drifted."""
        return provider.ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: provider.DeleteRequest) -> None:
        """Nothing outside the state to remove."""


async def run(properties: Properties) -> None:
    """Run an Exec's command; imported late, as a preview never needs the Docker client."""
    from execute import execute  # noqa: PLC0415

    plain = {name: value.value for name, value in properties.items()}
    command = [str(part.value) for part in plain["command"]]  # type: ignore[union-attr]
    await asyncio.to_thread(
        execute,
        str(plain["container"]),
        command,
        str(plain.get("stdin") or ""),
        float(plain["timeout"]),  # type: ignore[arg-type]
    )
