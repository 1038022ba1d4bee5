"""The histories as SQL: Alembic reads the revisions and writes what each would do; it connects to nothing."""

from __future__ import annotations

import io
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

FOLDER = Path(__file__).parent
#: Statements that lose data. A revision that has one says so by its attribute ``destructive``.
LOSING = re.compile(
    r"\b(DROP\s+(TABLE|COLUMN|SCHEMA|TYPE|DATABASE|MATERIALIZED\s+VIEW)|TRUNCATE|DELETE\s+FROM)\b", re.IGNORECASE
)
BASE = "base"


class UnknownHistoryError(Exception):
    """No folder has that history."""


class UnknownRevisionError(Exception):
    """The history has no such revision."""


@dataclass(frozen=True)
class Step:
    """A revision: its SQL, and what of the data is lost by it, if any."""

    revision: str
    sql: str
    destructive: str

    @property
    def unmarked(self) -> str:
        """A statement that loses data although the revision does not say so."""
        found = None if self.destructive else LOSING.search(self.sql)
        return found.group(0) if found else ""


@cache
def names() -> tuple[str, ...]:
    """Every history there is."""
    return tuple(sorted({path.parent.name for path in FOLDER.glob("*/[0-9]*.py")}))


def version_table(history: str) -> str:
    """The table in which a database notes how far it is in the history."""
    return f"{history}_schema_version"


@cache
def steps(history: str, current: str) -> tuple[Step, ...]:
    """The revisions from ``current`` (``base``: an empty database) to the newest, the oldest first."""
    config = _config(history)
    directory = ScriptDirectory.from_config(config)
    revisions = list(directory.walk_revisions())[::-1]
    known = [BASE, *(script.revision for script in revisions)]
    if current not in known:
        raise UnknownRevisionError(current)
    found = []
    for before, script in zip(known, revisions, strict=False):
        if known.index(before) >= known.index(current):
            sql = _sql(config, before, script.revision)
            found.append(Step(script.revision, sql, getattr(script.module, "destructive", "")))
    return tuple(found)


def _config(history: str) -> Config:
    if history not in names():
        raise UnknownHistoryError(history)
    config = Config(output_buffer=io.StringIO())
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("version_locations", str(FOLDER / history))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_table", version_table(history))
    return config


def _sql(config: Config, before: str, after: str) -> str:
    """The statements of one revision, the one that notes it in ``schema_version`` among them."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config.output_buffer = io.StringIO()
    command.upgrade(config, f"{before}:{after}", sql=True)
    return config.output_buffer.getvalue()
