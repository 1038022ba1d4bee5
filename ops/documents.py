"""YAML files that people write, changed by a program: comments and order stay, and no kill leaves half a file."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops import paths

if TYPE_CHECKING:
    from ruamel.yaml import YAML

#: Lines are never broken: a long one would be the only thing that looks different.
WIDTH = 4096


def _yaml() -> YAML:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, WIDTH
    yaml.brace_single_entry_mapping_in_flow_sequence = True  # `[{path: /api}]` stays as it is
    return yaml


def load(text: str) -> Any:
    """The document with its comments; an empty one is an empty mapping."""
    return _yaml().load(text) or _yaml().map()


def dump(document: Any) -> str:
    """The document as text."""
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def write(file: Path, text: str) -> None:
    """Replace the file as a whole, or not at all."""
    whole = file.with_name(f"{file.name}.new")
    whole.write_text(text)
    shutil.copymode(file, whole)
    whole.replace(file)


def keep(file: Path) -> Path:
    """A copy of the file as it is, among this clone's private files; returns where."""
    folder = paths.PRIVATE / "upgrades"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Path(shutil.copy2(file, folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{file.name}"))
