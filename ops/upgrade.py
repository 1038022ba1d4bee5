"""`nexus upgrade`: brings a file to the form that this program reads, by the migrations between, when told to."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ops import console, documents, paths
from ops.errors import BAD_INPUT, Failure

if TYPE_CHECKING:
    from infra.versions import Form


def settings(stack: str, yes: bool) -> int:
    """The settings of a stack."""
    import yaml

    from infra import settings as model
    from infra import versions

    model.check_name(stack)
    file = paths.ROOT / model.file_of(stack)
    if not file.exists():
        model.load(stack)  # says which stacks have settings

    def valid(text: str) -> None:
        model.parse(yaml.safe_load(text).get("config") or {}, file.name)

    return bring(versions.SETTINGS, file, valid, f"{versions.SETTINGS.command} {stack}", yes)


def catalogue(yes: bool) -> int:
    """The catalogue."""
    from infra import catalog, versions

    def valid(text: str) -> None:
        catalog.load(text=text)

    return bring(versions.CATALOGUE, paths.ROOT / catalog.FILE_NAME, valid, versions.CATALOGUE.command, yes)


def bring(form: Form, file: Path, valid: Callable[[str], None], command: str, yes: bool) -> int:
    """Show what changes, ask, and write it; the file of before is kept. What is not ``valid`` is never written."""
    before = file.read_text()
    document = documents.load(before)
    found = form.known(form.of(document), file.name)
    steps = form.migrations[found - 1 :]
    if not steps:
        console.write(f"{file.name} has version {found}, the newest: nothing to do")
        return 0
    for number, step in enumerate(steps, found + 1):
        console.say(f"version {number}: {step.says}")
        step.change(document)
    form.mark(document)
    after = documents.dump(document)
    valid(after)
    console.write("".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), file.name, "new")))
    if not yes and not console.ask(f"Change {file.name} so?"):
        raise Failure(f"{file.name} was not changed", "it was not confirmed", f"{command} --yes", BAD_INPUT)
    kept = documents.keep(file)
    documents.write(file, after)
    console.say(f"{file.name} has version {form.newest} now; the one before is {kept}. Commit it")
    return 0
