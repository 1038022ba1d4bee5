"""A line of a log: when, whose, how loud, what it says; for people, or as JSON."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "critical")
#: The words by which servers name their levels, and which of ours each is.
WORDS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "log": "info",
    "warn": "warning",
    "warning": "warning",
    "err": "error",
    "error": "error",
    "crit": "critical",
    "critical": "critical",
    "fatal": "critical",
    "panic": "critical",
}
_ANY = "|".join(WORDS)
#: Where a level stands in a line that is no JSON: `[INFO]`, `level=info`, or `FATAL:` in capitals.
NAMED = re.compile(rf"(?i:\[({_ANY}) *\]|\blevel=\"?({_ANY})\b)|\b({_ANY.upper()}):? ")
#: Characters of a line in which its level is looked for: later ones are of what it says.
HEAD = 120
#: What every line of the project's own services has.
OURS = ("timestamp", "level", "service", "message")
#: Fields that are shown elsewhere, or whose content the message has.
SAID = frozenset({*OURS, "stack", "logger", "method", "path", "route", "status", "exc_info"})
COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")
STYLES = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}
#: Control characters are written out: what a client sends must not steer the terminal that shows it.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}

#: Text with the style of a terminal.
Part = tuple[str, str]


@dataclass(frozen=True)
class Line:
    """One line: the engine's moment (``since.stamp``), the service, the name of the instance, and what was written."""

    moment: str
    service: str
    source: str
    text: str

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The object that the line is; empty for a line that is none."""
        if not self.text.startswith("{"):
            return {}
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def ours(self) -> bool:
        """Whether it is of the project's own format."""
        return all(isinstance(self.fields.get(name), str) for name in OURS)

    @property
    def level(self) -> str:
        """One of LEVELS; ``info`` for a line that names none."""
        if self.fields:
            named = self.fields.get("level") or self.fields.get("@level")
            return WORDS.get(str(named).lower(), "info")
        found = NAMED.search(self.text[:HEAD])
        return WORDS[next(filter(None, found.groups())).lower()] if found else "info"

    @property
    def correlation_id(self) -> str:
        """The id of the request it belongs to; empty for none. The gateway has it among its plugins' fields."""
        extra = self.fields.get("extra")
        found = self.fields.get("correlation_id") or (extra.get("correlation_id") if isinstance(extra, dict) else "")
        return str(found or "")

    def has(self, text: str) -> bool:
        """Whether a text is in it, as it was written or as it is read."""
        return text in self.text or text in str(self.fields.get("message", ""))


def as_json(line: Line) -> str:
    """The line as it is if it is of the project's own format, else an object of that format with it as message."""
    if line.ours:
        return line.text
    return json.dumps(
        {"timestamp": line.moment, "level": line.level, "service": line.service, "message": line.text},
        ensure_ascii=False,
    )


def parts(line: Line, width: int) -> list[Part]:
    """What people read: the time, who (in ``width`` columns), the level and the message, and the other fields."""
    style = STYLES.get(line.level, "")
    shown: list[Part] = [
        (f"{line.moment[:23]}Z ", "dim"),
        (f"{line.source:<{width}} ", COLOURS[zlib.crc32(line.service.encode()) % len(COLOURS)]),
    ]
    if not line.ours:
        return [*shown, (plain(line.text), style)]
    others = [f" {name}={value}" for name, value in line.fields.items() if name not in SAID and value not in ("", None)]
    trace = str(line.fields.get("exc_info") or "")
    return [
        *shown,
        (f"{line.level:<7} ", style),
        (plain(line.fields["message"]), style),
        (plain("".join(others)), "dim"),
        *([(plain(f"\n{trace}"), style)] if trace else []),
    ]


def plain(text: str) -> str:
    """The text without what would steer a terminal; further lines are indented: none looks like one of the log."""
    return text.translate(CONTROL).replace("\n", "\n    ")
