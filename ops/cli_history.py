"""The command line of what happened: options of the verbs about updates and their states."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.options import EPILOG, Json, LockTimeout, SourceOption, Stack, Timeout, Yes, run

app = typer.Typer()
state = typer.Typer(help="Look after the state.", epilog=EPILOG, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(state, name="state")

Number = Annotated[int, typer.Argument(min=1, help="An update, by its number in the history.", show_default=False)]
Perhaps = Annotated[
    int | None, typer.Argument(min=1, help="An update, by its number in the history.", show_default=False)
]


@app.command()
def history(stack: Stack, number: Perhaps = None, json: Json = False) -> None:
    """List the updates of an environment, or show one."""
    run("history", stack=stack, number=number, as_json=json)


@app.command()
def diff(stack: Stack, older: Number, newer: Number, json: Json = False) -> None:
    """Show what differs between two updates: commits, settings, images, resources."""
    run("diff", stack=stack, older=older, newer=newer, as_json=json)


@app.command()
def rollback(
    stack: Stack,
    number: Number,
    *,
    source: SourceOption = None,
    yes: Yes = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Something that is not undone, by its name; repeatable.", show_default=False),
    ] = None,
    lock_timeout: LockTimeout = 60,
    timeout: Timeout = 3600,
) -> None:
    """Bring back the program, the settings and the images of an earlier update."""
    run(
        "rollback", stack=stack, number=number, source=source, yes=yes, accept=accept or [],
        lock_timeout=lock_timeout, timeout=timeout,
    )  # fmt: skip


@state.command("doctor")
def state_doctor(
    stack: Stack,
    number: Perhaps = None,
    *,
    restore: Annotated[
        bool, typer.Option("--restore", help="Put a copy in its place: of this update, or the last good one.")
    ] = False,
    source: SourceOption = None,
    yes: Yes = False,
    json: Json = False,
    lock_timeout: LockTimeout = 60,
) -> None:
    """Check the state: whole, sound, readable, and the same as what the engine has."""
    run(
        "state doctor", module="state_doctor", stack=stack, number=number, restore=restore, source=source, yes=yes,
        as_json=json, lock_timeout=lock_timeout,
    )  # fmt: skip
