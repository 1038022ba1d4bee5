"""Speaks the resource provider protocol to a plugin binary, as the engine does, with plain Python values."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

#: The protocol's marks for a value that is not known yet and for a secret one.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MARK = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
SECONDS = 60  # one call; a plugin retries for 30

Values = dict[str, Any]


def secret(value: Any) -> Values:
    """That value, as a secret."""
    return {MARK: SECRET, "value": value}


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(MARK) == SECRET


def bare(value: Any) -> Any:
    """The value without secrecy and without the keys a provider keeps for itself."""
    if is_secret(value):
        return bare(value["value"])
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [bare(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def to_struct(values: Values) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def from_struct(message: struct_pb2.Struct) -> Values:
    return json_format.MessageToDict(message)


@dataclass(frozen=True)
class Difference:
    """What a diff says: changed paths with their kind, what replaces, and in which order."""

    paths: dict[str, str]
    replaces: list[str]
    deletes_first: bool

    @property
    def empty(self) -> bool:
        return not self.paths and not self.replaces


@dataclass
class Resource:
    """One resource as the engine's state has it."""

    token: str
    name: str
    inputs: Values
    id: str = ""
    outputs: Values = field(default_factory=dict)

    @property
    def urn(self) -> str:
        return f"urn:pulumi:conformance::plugins::{self.token}::{self.name}"


class Rejected(Exception):  # noqa: N818 - a result, not a fault
    """Check found the inputs wrong: {property: reason}."""

    def __init__(self, failures: dict[str, str]):
        super().__init__(str(failures))
        self.failures = failures


class Plugin:
    """A configured provider."""

    def __init__(self, stub: Any):
        self.stub = stub

    def check(self, resource: Resource, inputs: Values, olds: Values | None = None) -> Values:
        answer = self.stub.Check(
            provider_pb2.CheckRequest(
                urn=resource.urn,
                name=resource.name,
                type=resource.token,
                news=to_struct(inputs),
                olds=to_struct(olds or {}),
                randomSeed=b"0123456789abcdef",
            ),
            timeout=SECONDS,
        )
        if answer.failures:
            raise Rejected({failure.property: failure.reason for failure in answer.failures})
        return from_struct(answer.inputs)

    def diff(self, resource: Resource, news: Values, ignore: tuple[str, ...] = ()) -> Difference:
        answer = self.stub.Diff(
            provider_pb2.DiffRequest(
                id=resource.id,
                urn=resource.urn,
                name=resource.name,
                type=resource.token,
                olds=to_struct(resource.outputs),
                old_inputs=to_struct(resource.inputs),
                news=to_struct(news),
                ignoreChanges=ignore,
            ),
            timeout=SECONDS,
        )
        kinds = provider_pb2.PropertyDiff.Kind
        if answer.changes != provider_pb2.DiffResponse.DIFF_SOME:
            return Difference({}, [], False)
        paths = {path: kinds.Name(change.kind) for path, change in answer.detailedDiff.items()}
        return Difference(
            paths or dict.fromkeys(answer.diffs, "UPDATE"), list(answer.replaces), answer.deleteBeforeReplace
        )

    def create(self, resource: Resource, inputs: Values, preview: bool = False) -> Values:
        answer = self.stub.Create(
            provider_pb2.CreateRequest(
                urn=resource.urn,
                name=resource.name,
                type=resource.token,
                properties=to_struct(inputs),
                preview=preview,
            ),
            timeout=SECONDS,
        )
        outputs = from_struct(answer.properties)
        if not preview:
            resource.id, resource.inputs, resource.outputs = answer.id, inputs, outputs
        return outputs

    def read(self, resource: Resource) -> Resource | None:
        """The resource as the server has it, None when it has not."""
        answer = self.stub.Read(
            provider_pb2.ReadRequest(
                id=resource.id,
                urn=resource.urn,
                name=resource.name,
                type=resource.token,
                properties=to_struct(resource.outputs),
                inputs=to_struct(resource.inputs),
            ),
            timeout=SECONDS,
        )
        if not answer.id:
            return None
        return Resource(
            resource.token, resource.name, from_struct(answer.inputs), answer.id, from_struct(answer.properties)
        )

    def update(self, resource: Resource, news: Values, preview: bool = False) -> Values:
        answer = self.stub.Update(
            provider_pb2.UpdateRequest(
                id=resource.id,
                urn=resource.urn,
                name=resource.name,
                type=resource.token,
                olds=to_struct(resource.outputs),
                old_inputs=to_struct(resource.inputs),
                news=to_struct(news),
                preview=preview,
            ),
            timeout=SECONDS,
        )
        outputs = from_struct(answer.properties)
        if not preview:
            resource.inputs, resource.outputs = news, outputs
        return outputs

    def delete(self, resource: Resource) -> None:
        self.stub.Delete(
            provider_pb2.DeleteRequest(
                id=resource.id,
                urn=resource.urn,
                name=resource.name,
                type=resource.token,
                properties=to_struct(resource.outputs),
                old_inputs=to_struct(resource.inputs),
            ),
            timeout=SECONDS,
        )

    def make(self, token: str, name: str, inputs: Values) -> Resource:
        """Checks and creates."""
        resource = Resource(token, name, {})
        self.create(resource, self.check(resource, inputs))
        return resource


@contextmanager
def started(binary: Path) -> Iterator[Any]:
    """The stub of a plugin process, not configured yet."""
    process = subprocess.Popen([str(binary)], stdout=subprocess.PIPE, env=os.environ | {"PULUMI_DEBUG_GRPC": ""})
    assert process.stdout
    port = process.stdout.readline().decode().strip()
    with process, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield provider_pb2_grpc.ResourceProviderStub(channel)
        finally:
            process.terminate()


def configured(stub: Any, package: str, config: dict[str, str]) -> Plugin:
    """Handshake, CheckConfig and Configure in the engine's order."""
    checked = stub.CheckConfig(
        provider_pb2.CheckRequest(
            urn=f"urn:pulumi:conformance::plugins::pulumi:providers:{package}::provider",
            name="provider",
            type=f"pulumi:providers:{package}",
            news=to_struct(dict(config)),
        ),
        timeout=SECONDS,
    )
    if checked.failures:
        raise Rejected({failure.property: failure.reason for failure in checked.failures})
    stub.Configure(
        provider_pb2.ConfigureRequest(
            variables={f"{package}:config:{key}": value for key, value in config.items()},
            args=checked.inputs,
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
        ),
        timeout=SECONDS,
    )
    return Plugin(stub)
