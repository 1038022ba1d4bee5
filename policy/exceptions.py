"""Exceptions from the policies: of what, where, why, by whom, and until when (``policy/exceptions.yaml``)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from policy.model import Rule, Violation

FILE = Path(__file__).resolve().parent / "exceptions.yaml"
NAME = "policy/exceptions.yaml"
#: Nobody remembers a reason for longer.
LONGEST = timedelta(days=366)
#: An exception that ends within these many days is said to end soon.
SOON = timedelta(days=30)

Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Owner = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=20)]


class InvalidError(ValueError):
    """The file is not usable; the text says the entry, the field, the value and the rule."""


class Exempt(BaseModel):
    """One exception. Names are patterns, as a shell has them; a rule is never excepted as a whole without saying so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str
    stacks: tuple[Pattern, ...] = Field(min_length=1)
    resources: tuple[Pattern, ...] = Field(min_length=1)
    reason: Reason
    owner: Owner
    granted: date
    expires: date

    @field_validator("granted", "expires", mode="before")
    @classmethod
    def _is_a_day(cls, value: object) -> object:
        if type(value) is not date:
            raise ValueError(f"{value!r} is not a day: write YYYY-MM-DD without quotes")
        return value

    @model_validator(mode="after")
    def _ends(self) -> Exempt:
        if not self.granted < self.expires <= self.granted + LONGEST:
            raise ValueError(
                f"expires {self.expires}: must be after granted ({self.granted}), by {LONGEST.days} days at most"
            )
        return self

    def covers(self, rule: str, stack: str, resource: str) -> bool:
        """Whether it is about this rule, stack and resource."""
        return (
            self.policy == rule
            and any(fnmatchcase(stack, pattern) for pattern in self.stacks)
            and any(fnmatchcase(resource, pattern) for pattern in self.resources)
        )

    @property
    def text(self) -> str:
        """Until when, who answers for it, and why."""
        return f"until {self.expires} ({self.owner}): {self.reason}"


def load(rules: Iterable[str], file: Path = FILE) -> tuple[Exempt, ...]:
    """The file's exceptions, each about one of ``rules``; raises InvalidError."""
    try:
        document = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise InvalidError(f"{NAME} is not valid YAML: {error}") from None
    listed = document.get("exceptions") if isinstance(document, dict) and set(document) == {"exceptions"} else None
    if not isinstance(listed, list):
        raise InvalidError(f"{NAME} must have one key, `exceptions`, with a list ([] for none)")
    return tuple(_entry(number, row, frozenset(rules)) for number, row in enumerate(listed))


def _entry(number: int, row: object, rules: frozenset[str]) -> Exempt:
    at = f"{NAME}: exceptions[{number}]"
    try:
        found = Exempt.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidError(
            f"{at}{f'.{field}' if field else ''}: {first['msg'].removeprefix('Value error, ')}"
        ) from None
    if found.policy not in rules:
        raise InvalidError(f"{at}.policy: no policy {found.policy!r}; there are: {', '.join(sorted(rules))}")
    return found


def judge(rule: Rule, stack: str, violation: Violation, exceptions: Iterable[Exempt], today: date) -> tuple[bool, str]:
    """Whether the violation stands, and what to say of it: an exception counts until the end of its last day."""
    resource = violation.urn.rsplit("::", 1)[-1]
    own = [each for each in exceptions if each.covers(rule.name, stack, resource)]
    if valid := [each for each in own if today <= each.expires]:
        longest = max(valid, key=lambda each: each.expires)
        soon = ", soon" if longest.expires - today <= SOON else ""
        return False, f"{violation.message}; excepted{soon} {longest.text}"
    expired = f" (its exception in {NAME} expired {max(each.expires for each in own)})" if own else ""
    return True, f"{violation.message}{expired}. {rule.remedy}"
