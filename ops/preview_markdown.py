"""Previews as Markdown for a pull request: short above the fold, bounded, and valid whatever a resource is called.

Every name, path and value is a code span: nothing in it is a link, a mention, HTML or the end of a line. A page that is
too long for a comment is told in fewer words, step by step; what is deleted or replaced keeps its name the longest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ops import risk
from ops.changes import Change, Preview, Violation, text
from ops.events import short_type

#: By it the comment is found again; invisible.
MARKER = "<!-- nexus:preview -->"
TITLE = "## What this would change"
#: GitHub takes 65,536 characters for a comment (its answer to a longer one); some are left for what it may count more.
LIMIT = 64_000
#: Lines before the first fold, blank ones too, and how many of them the page and each environment need for themselves.
LINES, PAGE, SECTION = 40, 7, 6
#: Characters of a name, and of what a policy says; causes shown in a line.
NAME, SAYING, CAUSES = 120, 240, 3
#: Characters that are invisible, move others or end a line: shown by their number.
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
REMOVING = ("delete", "replace")
#: A word that is no markup, address or name, wherever it stands.
PLAIN = r"[A-Za-z0-9:()'-]*"


@dataclass(frozen=True)
class Detail:
    """How much is told."""

    properties: bool = False  # every property of every change, below the fold
    values: bool = False  # before and after, of the properties that cause something
    lines: bool = True  # a line for each delete and replace; else their names alone
    others: bool = True  # the names of what is created and updated


DETAILS = (
    Detail(properties=True, values=True),
    Detail(values=True),
    Detail(),
    Detail(lines=False),
    Detail(lines=False, others=False),
)


def render(previews: Sequence[Preview], link: str = "") -> str:
    """One page for all environments, of at most ``LIMIT`` characters; ``link`` leads to the run and its documents."""
    for detail in DETAILS:
        page = _page(previews, detail, link)
        if len(page) <= LIMIT:
            return page
    return _too_much(previews, link)


def _page(previews: Sequence[Preview], detail: Detail, link: str) -> str:
    told = [one for one in previews if not one.quiet or one.failed]
    quiet = [code(one.stack) for one in previews if one.quiet and not one.failed]
    parts = [f"{MARKER}\n{TITLE}"]
    lines = [[*_policies(one.violations, detail), *_lines(one.changes, detail)] for one in told]
    rooms = shares([len(own) for own in lines], LINES - PAGE - SECTION * len(told))
    parts += [_section(one, own, room, detail, link) for one, own, room in zip(told, lines, rooms, strict=True)]
    parts += [f"No changes in {', '.join(quiet)}."] if quiet else []
    parts += [f"[The run]({link}) has each preview as JSON, and the plans."] if link else []
    return "\n\n".join(parts) + "\n"


def shares(needs: Sequence[int], room: int) -> list[int]:
    """How much of the room each gets: what it needs if that is little, else as much as any other."""
    given, left = [0] * len(needs), max(0, room)
    for number, index in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        given[index] = min(needs[index], left // (len(needs) - number))
        left -= given[index]
    return given


def _section(preview: Preview, lines: Sequence[str], room: int, detail: Detail, link: str) -> str:
    """One environment, with so many of its lines above the fold."""
    if preview.failed:
        where = f"[log]({link})" if link else "log"
        why = f"It failed before it could say what would change: see its {where}."
        return f"### {code(preview.stack)}: no preview\n\n{why}"
    shown, folded = lines[:room], lines[room:]
    details = _properties(preview.changes) if detail.properties else []
    parts = [heading(preview), "\n".join(shown)] if shown else [heading(preview)]
    if folded or details:
        summary = " and ".join([*([f"{len(folded)} more"] if folded else []), *(["every property"] if details else [])])
        inner = [part for part in ("\n".join(folded), "\n".join(details)) if part]
        parts.append("\n\n".join([f"<details><summary>{summary}</summary>", *inner, "</details>"]))
    return "\n\n".join(parts)


def heading(preview: Preview) -> str:
    """``### `dev`: 1 to delete, 2 to replace; worst: **loses data**; 168 unchanged``."""
    counts = ", ".join(f"{count} to {op}" for op, count in reversed(preview.counts.items()) if count) or "no changes"
    worst = f"; worst: **{preview.risk}**" if preview.changes else ""
    refused = sum(one.refuses for one in preview.violations)
    policies = f"; **policies refuse it** ({refused})" if refused else ""
    return f"### {code(preview.stack)}: {counts}{worst}{policies}; {preview.same} unchanged"


def _policies(violations: Sequence[Violation], detail: Detail) -> list[str]:
    if not detail.lines:
        return [f"- **policies** say something {len(violations)} times: see the JSON"] if violations else []
    return [
        f"- **policy** {code(one.policy)} {'refuses' if one.refuses else 'warns of'} "
        f"{code(one.resource or 'the stack')}: {code(one.message, SAYING)}"
        for one in violations
    ]


def _lines(changes: Sequence[Change], detail: Detail) -> list[str]:
    removing = [one for one in changes if one.op in REMOVING]
    others = [one for one in changes if one.op not in REMOVING]
    if not detail.lines:
        unnamed = [f"- what is created and updated ({len(others)}) is named in the JSON alone"] if others else []
        return [*_named(removing), *(_named(others) if detail.others else unnamed)]
    if detail.values:  # in their order of rank: the worst first, whatever it is
        return [line(one, values=True) for one in changes]
    return [*(line(one, values=False) for one in removing), *_named(others)]


def line(one: Change, *, values: bool) -> str:
    """``- **replace** `redis-server` (`Container`): **restarts**: about 2 s without an answer. Because: `cpus```."""
    risks = "; ".join(f"**{each.label}**: {plain(each.why)}" for each in one.risks if each.label != risk.SAFE)
    because = f". Because: {_cause(one, values)}" if one.cause else ""
    return f"- **{one.op}** {code(one.name)} ({code(short_type(one.type))}): {risks or risk.SAFE}{because}"


def plain(why: str) -> str:
    """A reason of the table; parts of the plan in it, such as paths and addresses, are code."""
    words = (re.fullmatch(r"(.*?)([,;]*)", word) for word in why.split())
    parts = ((found[1], found[2]) for found in words if found)
    return " ".join(f"{part if re.fullmatch(PLAIN, part) else code(part, SAYING)}{end}" for part, end in parts)


def _cause(one: Change, values: bool) -> str:
    if not one.causes:
        return plain(one.cause)
    shown = one.causes[:CAUSES]
    found = [f"{code(p.path)}{f' {code(text(p.old))} → {code(text(p.new))}' if values else ''}" for p in shown]
    more = len(one.causes) - len(shown)
    return ", ".join(found) + (f" and {more} more" if more else "")


def _named(changes: Sequence[Change]) -> list[str]:
    """The names alone, a line for each operation and risk."""

    def kind(one: Change) -> tuple[str, str]:
        return one.op, one.risk

    rows = [(key, [one.name for one in group]) for key, group in groupby(changes, key=kind)]
    return [f"- **{op}**, {label} ({len(found)}): {', '.join(map(code, ranges(found)))}" for (op, label), found in rows]


def ranges(names: Iterable[str]) -> list[str]:
    """Names that differ only in a number at their end, as one: ``item-{1..5000}`` for three and more in a row."""
    prefixes: dict[str, list[int]] = {}
    found: list[str] = []
    for name in names:
        number = re.search(r"(?<!\d)(0|[1-9]\d{0,8})$", name)
        if number and len(name) < NAME // 2:  # a longer one may be cut where it is shown
            prefixes.setdefault(name[: number.start()], []).append(int(number[1]))
        else:
            found.append(name)
    for prefix, numbers in prefixes.items():
        for first, last in _runs(sorted(numbers)):
            found += (
                [f"{prefix}{{{first}..{last}}}"]
                if last > first + 1
                else [f"{prefix}{n}" for n in range(first, last + 1)]
            )
    return found


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            yield numbers[start], numbers[end - 1]
            start = end


def _properties(changes: Sequence[Change]) -> list[str]:
    found = []
    for one in changes:
        if one.properties:
            found.append(f"- {code(one.name)} ({code(short_type(one.type))})")
            found += [f"  - {code(p.path)}: {code(text(p.old))} → {code(text(p.new))}" for p in one.properties]
    return found


def _too_much(previews: Sequence[Preview], link: str) -> str:
    """As many names of what goes as there is room for, deletes first; how many are left out, and where they are."""
    where = f"[the run]({link})" if link else "the JSON document of the preview"
    sums = {op: sum(one.counts[op] for one in previews) for op in ("delete", "replace", "update", "create")}
    total = ", ".join(f"{count} to {op}" for op, count in sums.items() if count)
    worst = risk.worst(one.risk for one in previews)
    head = f"{MARKER}\n{TITLE}\n\n{total} in {len(previews)} environments; worst: **{worst}**"
    names = [
        f"- **{one.op}** {code(one.name)} in {code(preview.stack)}"
        for op in REMOVING
        for preview in previews
        for one in preview.changes
        if one.op == op
    ]
    room, shown = LIMIT - len(head) - len(link) - 400, 0
    while shown < len(names) and room > len(names[shown]) + 1:
        room -= len(names[shown]) + 1
        shown += 1
    left = len(names) - shown
    note = f"**{left} of the {len(names)} that are deleted or replaced do not fit here**: {where} has all of them."
    listed = "\n".join(names[:shown])
    fold = f"<details><summary>{shown} of {len(names)} names</summary>\n\n{listed}\n\n</details>"
    return "\n\n".join([head, note, fold]) + "\n"


def code(shown: str, longest: int = NAME) -> str:
    """Any text as one code span."""
    line = (shown if shown.isprintable() else "".join(map(_visible, shown))) or "(empty)"
    if len(line) > longest:
        line = f"{line[: longest - 40]}…{line[-20:]} ({len(shown)} characters)"
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _visible(character: str) -> str:
    if character == "\n":
        return "\\n"
    return f"\\u{ord(character):04x}" if unicodedata.category(character) in HIDDEN else character
