"""The form of the settings and of the catalogue has a version; a file of another one is brought to it by name.

A change of form that would make files of users wrong (a key that moves, a value that means something else) is a
migration: one more row below, numbered by its place. What only adds a key with a default is none.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from infra.errors import ConfigError

#: A YAML file as nested mappings; in a migration with its comments and order (ruamel.yaml).
Document = MutableMapping[str, Any]
FIRST = 1


@dataclass(frozen=True)
class Migration:
    """One step to the next version: what it ``says`` to people, and how it changes a document in place."""

    says: str
    change: Callable[[Document], None]


@dataclass(frozen=True)
class Form:
    """What files of a kind look like: where their version is, and the steps from the first version to the newest."""

    place: tuple[str, ...]
    command: str
    migrations: tuple[Migration, ...] = ()

    @property
    def newest(self) -> int:
        """The version that this program reads."""
        return FIRST + len(self.migrations)

    def of(self, document: Document) -> object:
        """A document's version as it is written; a file that says none is of the first."""
        found: Any = document
        for key in self.place:
            found = (found or {}).get(key)
        return FIRST if found is None else found

    def mark(self, document: Document) -> None:
        """Write the newest version into a document."""
        *parents, last = self.place
        for key in parents:
            document = document.setdefault(key, {})
        document[last] = self.newest

    def known(self, found: object, file: str) -> int:
        """The version as a number; raises ConfigError for one that this program cannot know."""
        field = ".".join(self.place)
        number = int(found) if isinstance(found, str) and found.isdecimal() else found
        if not isinstance(number, int) or isinstance(number, bool) or number < FIRST:
            rule = f"a version is a whole number, {FIRST} to {self.newest}"
            raise ConfigError(file, field, found, rule, f"Set the one {file} was written for; without any it is 1.")
        if number > self.newest:
            raise ConfigError(
                file,
                field,
                number,
                f"this program knows no version after {self.newest}",
                f"Use the program that {file} was written for (git pull), or restore the file of before (git log "
                f"{file}; what an upgrade replaced is in .nexus/upgrades).",
            )
        return number

    def check(self, found: object, file: str, subject: str = "") -> None:
        """Raise ConfigError unless the version is the newest; ``subject`` is what the command is given."""
        number = self.known(found, file)
        if number < self.newest:
            command = f"{self.command} {subject}".strip()
            rule = f"this program reads version {self.newest}"
            raise ConfigError(
                file, ".".join(self.place), number, rule, f"`{command}` shows what changes, and does it when told to."
            )


#: ``Pulumi.<stack>.yaml``.
SETTINGS = Form(("config", "nexus:version"), "./nexus upgrade settings")
#: ``infra/services.yaml``.
CATALOGUE = Form(("version",), "./nexus upgrade catalogue")
