"""Reads cases.yaml: the life of every resource type, with its placeholders filled for one test."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.plugins.driver import Resource, Values

TABLE = Path(__file__).with_name("cases.yaml")
_numbers = itertools.count(1)


@cache
def table() -> dict[str, Values]:
    return yaml.safe_load(TABLE.read_text())


@cache
def pem() -> dict[str, str]:
    """A self-signed certificate, its key, the public half of that, a request, and an authority's certificate."""
    new = [
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=conformance.test",
    ]
    text = _openssl(*new, "-x509", "-days", "2", "-addext", "basicConstraints=CA:FALSE", "-keyout", "-", "-out", "-")
    blocks = re.findall(r"-----BEGIN.*?-----END [^\n]*\n", text, re.DOTALL)
    return {
        "@key": blocks[0],
        "@certificate": blocks[1],
        "@public": _openssl("pkey", "-pubout", given=text),
        "@request": _openssl(*new, "-keyout", "/dev/null"),
        "@authority": _openssl(*new, "-x509", "-days", "2", "-keyout", "/dev/null"),
    }


def _openssl(*arguments: str, given: str = "") -> str:
    return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Case:
    """One type's entry for one test; `ids` are those of the resources it needs."""

    token: str
    raw: Values
    unique: str
    ids: Values

    def __getattr__(self, name: str) -> Any:
        return self.fill(self.raw.get(name))

    def fill(self, value: Any, of: Resource | None = None) -> Any:
        """Placeholders replaced, in texts at any depth."""
        if isinstance(value, dict):
            return {self.fill(key, of): self.fill(item, of) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, of) for item in value]
        if not isinstance(value, str):
            return value
        if value.startswith("@"):
            return pem()[value]
        for name, id_ in self.ids.items():
            value = value.replace(f"${{{name}.id}}", id_)
        value = value.replace("$x", self.unique)
        if of:
            parts = re.split(r"[|/]", of.id)
            value = re.sub(r"\{id\.(\d)\}", lambda m: parts[int(m[1])], value).replace("{id}", of.id)
        return value

    def changed(self, changes: Values) -> Values:
        """The inputs with changes; null removes."""
        merged = self.inputs | self.fill(changes)
        return {key: value for key, value in merged.items() if value is not None}


def unique() -> str:
    return f"x{next(_numbers)}"


def tokens(*need: str) -> list[str]:
    """The types whose entry has all these parts."""
    return [token for token, raw in table().items() if all(part in raw for part in need)]


def same(wanted: Any, found: Any) -> bool:
    """Equal by meaning: "*" fits anything that is there, and an object may have more than is wanted."""
    if wanted == "*":
        return found not in (None, "")
    if isinstance(wanted, str) and isinstance(found, str) and wanted.startswith('{"'):
        return json.loads(wanted) == json.loads(found)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(same(item, found.get(key)) for key, item in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(same, wanted, found))
    return wanted == found or (wanted == "" and found is None)
