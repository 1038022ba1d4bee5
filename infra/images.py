"""Which image a name stands for: the original upstream, or the one built here from a recipe.

Pure and quick (no network, no Pulumi, each image hashed once): it runs in every preview. The tag of a locally built
image is content-addressed, ``nexus/<name>:<version>-<digest12>``: the digest covers everything that goes into the
image, so a changed recipe is a new reference: a diff in the preview, something missing to the builder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict

from components._contract import Contract

UPSTREAM, LOCAL = "upstream", "local"

_ROOT = Path(__file__).resolve().parent.parent
_PINS = _ROOT / "infra" / "images.yaml"
_CONTRACTS = _ROOT / "infra" / "contracts.yaml"
_ARTIFACTS = _ROOT / "offline" / "artifacts.yaml"
_RECIPES = _ROOT / "offline" / "images"
#: Never part of an image: caches, tests, editors' leavings.
_SKIPPED_DIRS = {"__pycache__", "tests", "testdata", ".pytest_cache", ".ruff_cache"}
_SKIPPED_ENDS = (".pyc", "_test.go", ".md", "~")
#: The grammar of the OCI distribution specification, 1.1: [host[:port]/]path[:tag][@digest]. What comes first is a host
#: when it has a dot or a port, or is localhost: the engine's rule.
_REFERENCE = re.compile(
    r"(?P<host>(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:\d))(?::\d{1,5})?/)?"
    r"(?P<path>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def check_reference(text: str) -> str:
    """The image reference unchanged, if it is well formed and names a version; else ValueError with the rule."""
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise ValueError(
            f"malformed image reference {text!r}: expected [host[:port]/]name[:tag][@sha256:64 hex digits], "
            "the name in lower case"
        )
    if not (match["tag"] or match["digest"]):
        raise ValueError(f"image reference {text!r} names no version: add a tag or a digest")
    return text


def tag(text: str) -> str:
    """The tag of an image reference; empty when it has none."""
    match = _REFERENCE.fullmatch(text)
    return (match["tag"] or "") if match else ""


Reference = Annotated[str, AfterValidator(check_reference)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Image(_Row):
    """One row of ``images.yaml``; the comments there say what the fields mean."""

    name: str
    version: str
    upstream: Reference | None = None
    base: str | None = None
    artifact: str | None = None
    stand_in: bool = False
    sources: tuple[str, ...] = ()

    @property
    def recipe(self) -> Path:
        """The folder of the local recipe."""
        return _RECIPES / self.name

    def built_here(self, source: str) -> bool:
        """Whether the image is built locally when ``source`` is chosen (the project's own images always are)."""
        return source == LOCAL or self.upstream is None


@cache
def load() -> dict[str, Image]:
    """Every image of ``images.yaml`` by name."""
    images = {name: Image(name=name, **row) for name, row in _read(_PINS)["images"].items()}
    for image in images.values():
        if image.base and image.base not in images:
            raise ValueError(f"{_PINS.name}: images.{image.name}.base: no image {image.base!r}")
    return images


def contract(name: str) -> Contract:
    """The contract of an image; KeyError for one that never runs as a container of its own."""
    return Contract(name=name, **_contract_rows()[name])


@cache
def reference(name: str, source: str, registry: str = "") -> str:
    """What a container of this image is declared with.

    ``upstream``: the pinned original, behind ``registry`` if one is given. ``local`` (and the project's own images in
    both): the content-addressed tag.
    """
    image = load()[name]
    if not image.built_here(source):
        return f"{registry.rstrip('/')}/{image.upstream}" if registry else str(image.upstream)
    repository = f"nexus/{name}-standin" if image.stand_in else f"nexus/{name}"
    return f"{repository}:{image.version}-{_digest(name, source, registry)[:12]}"


def is_stand_in(name: str, source: str) -> bool:
    """Whether the image, from this source, takes the original's place."""
    image = load()[name]
    return image.stand_in and image.built_here(source)


def source_files(folder: Path) -> Iterator[Path]:
    """The files under a folder that count (no caches, no tests), in a stable order."""
    for path in sorted(folder.rglob("*")):
        wanted = path.is_file() and not path.name.endswith(_SKIPPED_ENDS)
        if wanted and _SKIPPED_DIRS.isdisjoint(path.relative_to(folder).parts):
            yield path


@cache
def _digest(name: str, source: str, registry: str) -> str:
    """What decides the content of a locally built image, as one hex digest."""
    image = load()[name]
    hashed = hashlib.sha256(repr((name, image.version, image.artifact, image.sources)).encode())
    if image.base:
        hashed.update(reference(image.base, source, registry).encode())
    hashed.update(repr(_contract_rows().get(name)).encode())
    folders = [image.recipe, *(_ROOT / folder for folder in image.sources)]
    if image.artifact:
        row = _artifact_rows().get(image.artifact, {})
        hashed.update(repr(row).encode())
        if "module" in row:
            folders.append(_ROOT / row["module"])
    for folder in folders:
        for path in source_files(folder):
            hashed.update(f"\0{path.relative_to(_ROOT)}\0{path.stat().st_mode & 0o111:o}\0".encode())
            hashed.update(path.read_bytes())
    return hashed.hexdigest()


@cache
def _contract_rows() -> dict[str, Any]:
    return _read(_CONTRACTS)["contracts"]


@cache
def _artifact_rows() -> dict[str, Any]:
    return _read(_ARTIFACTS)


def _read(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both safe
