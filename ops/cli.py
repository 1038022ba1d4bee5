"""The command line: options of every verb. What a verb does is in the module of its name, loaded when it runs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from ops import cli_history, cli_running
from ops.options import (
    EPILOG,
    Json,
    LockTimeout,
    Refresh,
    SourceOption,
    Stack,
    Timeout,
    Yes,
    run,
)

app = typer.Typer(
    name="nexus",
    help="Provision the NEXUS platform: one command per environment.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
images = typer.Typer(
    help="Look at, build or pin the images.", epilog=EPILOG, no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(images, name="images")
swarm = typer.Typer(
    help="Make a swarm, join one, look at its nodes.", epilog=EPILOG, no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(swarm, name="swarm")
app.add_typer(cli_history.app)
app.add_typer(cli_running.app)
upgrade = typer.Typer(
    help="Bring a file to the form that this program reads.", epilog=EPILOG, no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(upgrade, name="upgrade")


class PreviewFormat(StrEnum):
    """How a preview is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command()
def up(
    stack: Stack,
    *,
    source: SourceOption = None,
    refresh: Refresh = True,
    lock_timeout: LockTimeout = 60,
    timeout: Timeout = 3600,
    plan: Annotated[
        str | None,
        typer.Option(help="Do what this file of `preview --save-plan` says, or nothing.", show_default=False),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="What the history says of this update.")] = "",
    rollback_on_failure: Annotated[
        bool, typer.Option("--rollback-on-failure", help="Go back to the last good update when this one fails.")
    ] = False,
) -> None:
    """Create or update an environment and wait until it is healthy.

    Whatever it lacks is made first: Docker engine, Pulumi, plugins, images.
    """
    run(
        "up", stack=stack, source=source, refresh=refresh, lock_timeout=lock_timeout, timeout=timeout, plan_file=plan,
        message=message, rollback_on_failure=rollback_on_failure,
    )  # fmt: skip


@app.command()
def preview(
    stack: Stack,
    *,
    source: SourceOption = None,
    format: Annotated[
        PreviewFormat, typer.Option("--format", help="text: to read here; markdown: to post; json: for programs.")
    ] = PreviewFormat.TEXT,
    json: Json = False,
    refresh: Refresh = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Fail when anything would change.")
    ] = False,
    save_plan: Annotated[
        str | None, typer.Option(help="A file to write the plan to, for `up --plan`.", show_default=False)
    ] = None,
) -> None:
    """Show what `up` would change, why, and what it risks."""
    form = "json" if json else format.value
    run(
        "preview", stack=stack, source=source, form=form, refresh=refresh,
        expect_no_changes=expect_no_changes, save_plan=save_plan,
    )  # fmt: skip


@app.command()
def comment(
    documents: Annotated[list[str], typer.Argument(help="Files of `preview --json`.", show_default=False)],
    repository: Annotated[
        str | None, typer.Option(help="OWNER/NAME. Default: GITHUB_REPOSITORY.", show_default=False)
    ] = None,
    pull: Annotated[
        int | None, typer.Option(help="The pull request's number. Default: that of the event.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the comment instead.")] = False,
) -> None:
    """Write previews into a pull request: one comment for all environments."""
    run("comment", documents=documents, repository=repository, pull=pull, dry_run=dry_run)


@app.command()
def drift(
    stack: Stack,
    *,
    source: SourceOption = None,
    json: Json = False,
    repair: Annotated[bool, typer.Option("--repair", help="Put back what was changed, as `up` would.")] = False,
    lock_timeout: LockTimeout = 60,
    timeout: Timeout = 3600,
) -> None:
    """Show what was changed outside of Pulumi; changes nothing without --repair."""
    run(
        "drift",
        stack=stack,
        source=source,
        as_json=json,
        fix=repair,
        lock_timeout=lock_timeout,
        timeout=timeout,
    )


@app.command()
def down(
    stack: Stack,
    source: SourceOption = None,
    yes: Yes = False,
    lock_timeout: LockTimeout = 60,
    timeout: Timeout = 1800,
) -> None:
    """Remove an environment with its data."""
    run("down", stack=stack, source=source, yes=yes, lock_timeout=lock_timeout, timeout=timeout)


@app.command()
def rotate(
    stack: Stack,
    what: Annotated[str, typer.Argument(help="What to make anew; a wrong name lists those there are.")],
    source: SourceOption = None,
    lock_timeout: LockTimeout = 60,
    timeout: Timeout = 3600,
) -> None:
    """Make new credentials or keys: of postgres, redis, signing-key and others."""
    run("rotate", stack=stack, what=what, source=source, lock_timeout=lock_timeout, timeout=timeout)


class GraphFormat(StrEnum):
    """How the platform is drawn."""

    SVG = "svg"
    MERMAID = "mermaid"


@app.command()
def graph(
    stack: Stack,
    format: Annotated[GraphFormat, typer.Option("--format", help="svg: a picture; mermaid: text.")] = GraphFormat.SVG,
    output: Annotated[str | None, typer.Option(help="A file to write instead of printing.", show_default=False)] = None,
    health: Annotated[bool, typer.Option(help="Colour what runs by its health.")] = True,
) -> None:
    """Draw the platform: groups, routes, what each service needs, events and health."""
    run("graph", stack=stack, form=format.value, output=output, health=health)


@app.command()
def doctor(stack: Annotated[str, typer.Argument(help="Whose settings to check.")] = "dev", json: Json = False) -> None:
    """Check what this machine needs to run an environment."""
    run("doctor", stack=stack, as_json=json)


@app.command()
def env(
    stack: Annotated[str | None, typer.Argument(help="Also select this stack.", show_default=False)] = None,
    source: SourceOption = None,
) -> None:
    """Print what plain `pulumi` needs: eval "$(./nexus env)"."""
    run("env", stack=stack, source=source)


PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=PASS_ON)
def test(context: typer.Context, source: SourceOption = None) -> None:
    """Run the tests; further arguments go to pytest."""
    run("test", source=source, arguments=list(context.args))


@app.command(context_settings=PASS_ON)
def bench(context: typer.Context) -> None:
    """Compare start-up and idle CPU with plain Compose.

    Further arguments go to the benchmark.
    """
    run("bench", arguments=list(context.args))


Registry = Annotated[str, typer.Option(help="A mirror to pull upstream images from, such as mirror.example.com:5000.")]


@images.command("list")
def images_list(source: SourceOption = None, registry: Registry = "") -> None:
    """List the pinned images and which of them are here."""
    run("images list", module="images_verb", function="show", source=source, registry=registry)


@images.command("build")
def images_build(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all.", show_default=False)] = None,
    source: SourceOption = None,
    registry: Registry = "",
) -> None:
    """Build or pull images."""
    run("images build", module="images_verb", function="build", names=names or [], source=source, registry=registry)


@images.command("pin")
def images_pin(registry: Registry = "") -> None:
    """Pin the upstream references by digest, as the registry has them now."""
    run("images pin", module="images_verb", function="pin", registry=registry)


Address = Annotated[str, typer.Argument(help="An IP address by which the nodes reach the manager.", show_default=False)]


@swarm.command("init")
def swarm_init(address: Address) -> None:
    """Make a swarm at this machine's ADDRESS, or give a swarm of one node that address."""
    run("swarm init", module="swarm_verb", function="init", address=address)


@swarm.command("token")
def swarm_token(manager: Annotated[bool, typer.Option(help="For another manager.")] = False) -> None:
    """Print the secret by which other machines join."""
    run("swarm token", module="swarm_verb", function="token", manager=manager)


@swarm.command("join")
def swarm_join(address: Address) -> None:
    """Join the swarm at ADDRESS, with the token from standard input."""
    run("swarm join", module="swarm_verb", function="join", address=address)


@swarm.command("nodes")
def swarm_nodes() -> None:
    """List the swarm's nodes, and whose data they keep."""
    run("swarm nodes", module="swarm_verb", function="nodes")


@upgrade.command("settings")
def upgrade_settings(stack: Stack, yes: Yes = False) -> None:
    """Show how the settings of a stack change to the newest version, and change them."""
    run("upgrade settings", module="upgrade", function="settings", stack=stack, yes=yes)


@upgrade.command("catalogue")
def upgrade_catalogue(yes: Yes = False) -> None:
    """Show how the catalogue changes to the newest version, and change it."""
    run("upgrade catalogue", module="upgrade", function="catalogue", yes=yes)


def main() -> None:
    """Entry point of ``python -m ops``."""
    try:
        app(prog_name="./nexus")
    except KeyboardInterrupt:
        sys.exit(130)
