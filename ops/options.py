"""Options that several verbs have, and how a verb is run."""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Annotated, Any

import typer

from ops.errors import MEANINGS
from ops.failures import guarded

EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items()) + "."


class Source(StrEnum):
    """Where the CLI, plugins and images come from."""

    UPSTREAM = "upstream"
    LOCAL = "local"
    AUTO = "auto"


Stack = Annotated[str, typer.Argument(help="The environment: a stack with a Pulumi.STACK.yaml.", show_default=False)]
SourceOption = Annotated[
    Source | None,
    typer.Option(
        help="upstream: official downloads; local: built from package registries; auto: look again which is possible. "
        "Default: what was found the first time.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document (docs/schemas) instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Refresh = Annotated[bool, typer.Option(help="Compare the state with what really runs first, so that drift is seen.")]
LockTimeout = Annotated[int, typer.Option(min=0, help="Seconds to wait for another run on the same stack.")]
Timeout = Annotated[int, typer.Option(min=1, help="Seconds until the update is stopped.")]


def run(verb: str, /, module: str = "", function: str = "run", **options: Any) -> None:
    """Load the verb's module, run it, and leave with its exit code."""
    raise typer.Exit(
        guarded(verb, lambda: getattr(importlib.import_module(f"ops.{module or verb}"), function)(**options))
    )
