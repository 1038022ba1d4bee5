"""Which major versions of a server's data another major can take over, and which an image is of. Pure."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from infra import images

_FILE = Path(__file__).parent / "majors.yaml"
FILE_NAME = "infra/majors.yaml"
#: A tag begins with the version, with or without a v (the originals' convention).
_LEADING = re.compile(r"v?(\d+)")


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Jump(_Row):
    """From one major to others, and how: a heading of docs/upgrades.md."""

    start: int = Field(alias="from")
    to: tuple[int, ...]
    how: str


class Server(_Row):
    """A kind of server: the file of its data that names the major it was made by, and what it can go to."""

    file: str
    jumps: tuple[Jump, ...]

    def way(self, start: int, end: int) -> str | None:
        """How data of ``start`` gets to ``end``; None when there is no way."""
        return next((jump.how for jump in self.jumps if jump.start == start and end in jump.to), None)

    def reachable(self, start: int) -> tuple[int, ...]:
        """The majors that data of ``start`` can get to."""
        return tuple(sorted({end for jump in self.jumps if jump.start == start for end in jump.to}))


@cache
def load() -> dict[str, Server]:
    """The table by kind of service."""
    return {kind: Server.model_validate(row) for kind, row in yaml.safe_load(_FILE.read_text())["servers"].items()}


def of_image(name: str, source: str) -> int | None:
    """The major of an image of images.yaml, or of any reference with a tag; None when it does not say."""
    known = images.load().get(name)
    tag = known.version if known and known.built_here(source) else images.tag(known.upstream or "" if known else name)
    found = _LEADING.match(tag)
    return int(found[1]) if found else None
