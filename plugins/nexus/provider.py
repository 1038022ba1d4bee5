"""The resources that a stack of containers needs and no published provider has: secrets, files, gates.

Each type is in a module of its own (``secret``, ``files``, ``execute``); here is what is the same for all of them.
"""

from __future__ import annotations

import asyncio
import secrets

from execute import Exec
from files import Files
from job import Job
from kind import Kind, plain
from pulumi.provider.experimental import provider
from pulumi.provider.experimental.property_value import PropertyValue
from secret import GeneratedSecret
from trial import Trial

KINDS: dict[str, Kind] = {
    "nexus:index:Exec": Exec(),
    "nexus:index:Files": Files(),
    "nexus:index:GeneratedSecret": GeneratedSecret(),
    "nexus:index:Job": Job(),
    "nexus:index:Trial": Trial(),
}


def kind_of(qualified: str) -> Kind | None:
    """The type's own part decides: in a URN the types of its parents come before it, joined by ``$``."""
    return KINDS.get(qualified.rsplit("$", 1)[-1])


class NexusProvider(provider.Provider):
    """Checks and compares inputs by the fields of their type; the type does the rest."""

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
        """Fill defaults; refuse wrong inputs, each by its name."""
        kind = kind_of(request.type)
        if kind is None:
            return provider.CheckResponse(failures=[provider.CheckFailure("", f"unknown type {request.type}")])
        given = {k: v for k, v in request.new_inputs.items() if v.value is not None and not k.startswith("__")}
        defaults = {n: PropertyValue(f.default) for n, f in kind.fields.items() if f.default is not None}
        failures = [provider.CheckFailure(name, reason) for name, reason in kind.problems(given)]
        chosen = kind.chosen(given, request.old_inputs, request.random_seed)
        return provider.CheckResponse(inputs={**defaults, **given, **chosen}, failures=failures)

    async def diff(self, request: provider.DiffRequest) -> provider.DiffResponse:
        """Compare inputs field by field, so that a preview names just what changed."""
        kind = self._kind(request.type)
        detailed = {}
        for name, field in kind.fields.items():
            old, new = (plain(side[name]) if name in side else None for side in (request.old_state, request.new_inputs))
            if not field.compared or old == new:
                continue
            kinds = provider.PropertyDiffKind
            change = kinds.ADD if old is None else kinds.DELETE if new is None else kinds.UPDATE
            change = kinds(change.value + 1) if field.replaces else change
            detailed[name] = provider.PropertyDiff(change, input_diff=True)
        return provider.DiffResponse(
            changes=bool(detailed),
            diffs=list(detailed),
            replaces=[name for name in detailed if kind.fields[name].replaces],
            detailed_diff=detailed,
            delete_before_replace=True,
        )

    async def create(self, request: provider.CreateRequest) -> provider.CreateResponse:
        """Make the object."""
        kind, asked = self._kind(request.type), request.properties
        outputs = kind.planned(asked, {}) if request.preview else await asyncio.to_thread(kind.create, asked)
        return provider.CreateResponse(f"{request.name}-{secrets.token_hex(4)}", {**request.properties, **outputs})

    async def update(self, request: provider.UpdateRequest) -> provider.UpdateResponse:
        """Change the object in place."""
        kind = self._kind(request.type)
        changed = kind.planned if request.preview else kind.update
        outputs = await asyncio.to_thread(changed, request.news, request.olds)
        return provider.UpdateResponse({**request.news, **outputs})

    async def read(self, request: provider.ReadRequest) -> provider.ReadResponse:
        """Look whether the object is still there; what is gone is made again by the next update."""
        there = await asyncio.to_thread(self._kind(request.type).exists, request.properties)
        if not there:
            return provider.ReadResponse("", {}, {})
        return provider.ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: provider.DeleteRequest) -> None:
        """Remove the object."""
        await asyncio.to_thread(self._kind(request.type).delete, request.properties)

    @staticmethod
    def _kind(qualified: str) -> Kind:
        kind = kind_of(qualified)
        if kind is None:
            raise ValueError(f"unknown type {qualified}")
        return kind
