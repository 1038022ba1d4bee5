"""The one error for a wrong setting: which file, which field, what it is, the rule, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError


class ConfigError(Exception):
    """A value that the platform cannot be built from. Raised before any resource is touched."""

    def __init__(self, file: str, field: str, value: object, rule: str, remedy: str) -> None:
        self.file, self.field, self.value, self.rule, self.remedy = file, field, value, rule, remedy
        super().__init__(f"{file}: {field} is {value!r}: {rule}\n  {remedy}")


def first_problem(error: ValidationError, file: str, prefix: str = "") -> ConfigError:
    """The first problem pydantic found, as a ConfigError that names the file and the field to edit."""
    problem = error.errors(include_url=False)[0]
    field = prefix + ".".join(str(part) for part in problem["loc"])
    rule = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    if isinstance(value, Mapping):  # of a mapping the keys: there may be a secret among its values
        value = sorted(map(str, value))
    if problem["type"] == "extra_forbidden":
        return ConfigError(file, field, value, "no such setting", f"Remove {field} from {file}, or correct its name.")
    if problem["type"] == "missing":
        return ConfigError(file, field, None, "is required", f"Add {field} to {file}.")
    return ConfigError(file, field, value, rule, f"Change {field} in {file}.")
