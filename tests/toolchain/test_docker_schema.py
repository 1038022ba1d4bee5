"""The compiled docker plugin's schema against the official Python SDK: the same resources, properties and types."""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pulumi
import pulumi_docker
import pytest
from pulumi import _types as sdk
from pulumi_docker import _inputs

from ops import docker_schema

SCHEMA: dict[str, Any] = json.loads(docker_schema.SCHEMA.read_text())
#: The official plugin's own image builder is no part of the Terraform provider; the platform builds its images itself.
NATIVE = {"Image"}
NATIVE_TYPES = {"CacheFrom", "DockerBuild", "Registry"}
SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}
#: What every resource class has besides its properties.
COMMON = {"id", "urn", "pulumi_resource_name", "pulumi_resource_type"}


def resources() -> dict[str, type]:
    return {name: each for name, each in inspect.getmembers(pulumi_docker, inspect.isclass) if _is_resource(each)}


def _is_resource(each: type) -> bool:
    return issubclass(each, pulumi.CustomResource) and not issubclass(each, pulumi.ProviderResource)


def schema_of(name: str) -> dict[str, Any]:
    return SCHEMA["resources"][f"docker:index/{name[0].lower()}{name[1:]}:{name}"]


def sdk_shape(annotation: Any) -> str:
    """A Python annotation as ``array<string>``, ``map<string>``, ``ContainerPort`` and so on."""
    kind = sdk.unwrap_type(annotation)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in SCALARS:
        return SCALARS[kind]
    if origin is not None and "Sequence" in str(origin):
        return f"array<{sdk_shape(arguments[0])}>"
    if origin is not None and ("Mapping" in str(origin) or origin is dict):
        return f"map<{sdk_shape(arguments[1])}>"
    if origin is typing.Union:  # what an input can be: the value, or one that is known later
        return sdk_shape(arguments[0])
    return kind.__name__.removesuffix("Args")


def our_shape(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        return spec["$ref"].split(":")[-1]
    if spec["type"] == "array":
        return f"array<{our_shape(spec['items'])}>"
    if spec["type"] == "object":
        return f"map<{our_shape(spec.get('additionalProperties') or {'type': 'string'})}>"
    return spec["type"]


def sdk_inputs(arguments: type) -> dict[str, str]:
    return {name: sdk_shape(kind) for name, kind in sdk.input_type_types(arguments).items()}


def our(properties: dict[str, Any]) -> dict[str, str]:
    return {name: our_shape(spec) for name, spec in properties.items()}


def test_there_are_the_same_resources() -> None:
    assert {token.split(":")[-1] for token in SCHEMA["resources"]} == set(resources()) - NATIVE


@pytest.mark.parametrize("name", sorted(set(resources()) - NATIVE))
def test_a_resource_takes_the_same_inputs(name: str) -> None:
    module = sys.modules[resources()[name].__module__]
    assert our(schema_of(name)["inputProperties"]) == sdk_inputs(getattr(module, f"{name}Args"))


@pytest.mark.parametrize("name", sorted(set(resources()) - NATIVE))
def test_a_resource_requires_the_same_inputs(name: str) -> None:
    module = sys.modules[resources()[name].__module__]
    parameters = inspect.signature(getattr(module, f"{name}Args").__init__).parameters.values()
    names = sdk.input_type_py_to_pulumi_names(getattr(module, f"{name}Args"))
    required = {names[each.name] for each in parameters if each.default is each.empty and each.name in names}
    assert set(schema_of(name).get("requiredInputs", [])) == required


@pytest.mark.parametrize("name", sorted(set(resources()) - NATIVE))
def test_a_resource_gives_the_same_outputs(name: str) -> None:
    cls = resources()[name]
    theirs = {key: sdk_shape(each) for key, each in sdk.resource_types(cls).items() if key not in COMMON}
    assert our(schema_of(name)["properties"]) == theirs


def test_nested_types_have_the_same_properties() -> None:
    ours = {token.split(":")[-1]: our(each["properties"]) for token, each in SCHEMA["types"].items()}
    for name, cls in _classes(_inputs, "Args"):
        if name not in NATIVE_TYPES and not name.startswith("Get"):
            assert ours[name] == sdk_inputs(cls), name


def test_functions_take_and_give_the_same() -> None:
    for token, ours in SCHEMA["functions"].items():
        if not token.startswith("docker:"):
            continue
        name = token.split(":")[-1]
        module = next(each for each in _modules() if hasattr(each, f"{name}_result") or _python(name) in vars(each))
        result = next(each for key, each in vars(module).items() if key == f"{name[0].upper()}{name[1:]}Result")
        getters = [each for _, each in inspect.getmembers(result, lambda member: isinstance(member, property))]
        theirs = {getattr(each.fget, "_pulumi_name", each.fget.__name__) for each in getters}
        assert set(ours["outputs"]["properties"]) == theirs, name


def _modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith("pulumi_docker.get_")]


def _python(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _classes(module: ModuleType, suffix: str) -> Iterator[tuple[str, type]]:
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if name.endswith(suffix) and cls.__module__ == module.__name__:
            yield name.removesuffix(suffix), cls


def test_regenerating_gives_the_committed_file() -> None:
    assert docker_schema.generate() == docker_schema.SCHEMA.read_text()


def test_no_text_of_others_is_committed_with_it() -> None:
    def texts(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in {"description", "deprecationMessage", "attribution"} and isinstance(value, str):
                    yield value
                yield from texts(value)
        elif isinstance(node, list):
            for each in node:
                yield from texts(each)

    assert list(texts(SCHEMA)) == []
