"""The command line of what runs: options of the verbs that look at an environment and change nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ops.options import Json, Stack, run

app = typer.Typer()


class Level(StrEnum):
    """How loud a line of a log is, the quietest first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@app.command()
def status(
    stack: Stack,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="Between two looks of --watch. Default: 5.")
    ] = None,
) -> None:
    """Show every service of an environment: state, health, address."""
    if watch:
        run("status", module="watch", stack=stack, every=every or 5, as_json=json)
    if every is not None:
        raise typer.BadParameter("it says how often --watch looks; add --watch", param_hint="--every")
    run("status", stack=stack, as_json=json)


@app.command()
def logs(
    stack: Stack,
    services: Annotated[list[str] | None, typer.Argument(help="Default: all.", show_default=False)] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option(help="A span (10m, 2h) or a moment (RFC 3339).", show_default=False)
    ] = None,
    tail: Annotated[
        int | None, typer.Option(min=1, help="The last lines of all that match. Default: 100; with --since all.")
    ] = None,
    level: Annotated[Level | None, typer.Option(help="Lines at least that loud.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    grep: Annotated[str, typer.Option(metavar="TEXT", help="Lines with this text.", show_default=False)] = "",
) -> None:
    """Show what services write, merged by time."""
    run(
        "logs", stack=stack, services=services or [], follow=follow, since=since, tail=tail,
        level=level.value if level else None, as_json=json, grep=grep,
    )  # fmt: skip


@app.command("open")
def open_(
    stack: Stack,
    service: Annotated[str, typer.Argument(help="Whose page; a wrong name lists those there are.")] = "docs",
) -> None:
    """Print the address of a server's page, and open it where there is a browser."""
    run("open", stack=stack, service=service)


@app.command()
def trace(
    stack: Stack,
    id: Annotated[str, typer.Argument(metavar="ID", help="A correlation id.", show_default=False)],
    since: Annotated[str, typer.Option(help="How far back to look: a span (10m, 2h) or a moment (RFC 3339).")] = "1h",
    json: Json = False,
) -> None:
    """Show the way of a request through gateway, services and queues, by its correlation id."""
    run("trace", stack=stack, id=id, since=since, as_json=json)
