"""What the tools' own error texts mean: a table from pattern to what happened, what to do, and the exit code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ops import console
from ops.errors import BAD_INPUT, FAILED, LOCKED, MACHINE, Failure


@dataclass(frozen=True)
class Known:
    """A pattern, and what a person should read instead of it."""

    pattern: str
    what: str
    remedy: str
    code: int = FAILED


KNOWN = (
    Known(
        r"incorrect passphrase|invalid passphrase|passphrase must be set",
        "wrong passphrase: the secrets of this stack were encrypted with another one",
        "set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the passphrase that was used when the stack was made. If that one "
        "is lost and nothing of the stack is needed, remove `encryptionsalt` from Pulumi.<stack>.yaml and its state",
        BAD_INPUT,
    ),
    Known(
        # all but the first: Pulumi looked at another one's lock while that was just being written or removed
        r"currently locked by|NotFound[^\n]*/locks/|/locks/[^\n]*(NotFound|no such file)"
        r"|(?m:^(error: )?unexpected end of JSON input$)",
        "the stack is locked by another run",
        "wait for it, or end it; `pulumi cancel` removes a lock by hand",
        LOCKED,
    ),
    Known(
        r"no space left on device|disk quota exceeded",
        "the disk is full",
        "free some space (`docker image prune`, `go clean -cache`), then run the command again",
        MACHINE,
    ),
    Known(
        r"cannot connect to the docker daemon|error pinging docker server|docker\.sock: connect",
        "the Docker engine does not answer",
        "start it; `./nexus doctor` says what is missing",
        MACHINE,
    ),
    Known(
        r"port is already allocated|address already in use",
        "a host port is taken",
        "`./nexus doctor` names who holds it; change the port in the stack's settings",
        BAD_INPUT,
    ),
    Known(
        r"no resource plugin|could not find plugin|failed to load (language )?plugin",
        "a Pulumi plugin is missing or of the wrong version",
        "`./nexus up STACK` installs it; with a shell of its own: eval \"$(./nexus env)\"",
        MACHINE,
    ),
    Known(
        r"resource .* cannot be deleted\s+because it is protected|is protected",
        "something that would be deleted is protected",
        "if it may go: eval \"$(./nexus env)\" && pulumi state unprotect --all -s STACK, then again",
    ),
    Known(
        r"no such image|unable to pull image|pull access denied|manifest unknown|manifest for .* not found",
        "an image is missing",
        "`./nexus images list` shows which; `./nexus images build` makes them",
        MACHINE,
    ),
    Known(
        r"the new version did not get well beside",
        "a new version did not get well; the one before runs on, and nothing was replaced",
        "correct the image or its settings (nexus:services in Pulumi.<stack>.yaml, or infra/services.yaml) and run "
        "`./nexus up` again; with the image from before, nothing is left to do",
    ),
    Known(
        r"snapshot integrity|failed integrity check",
        "the stack's state contradicts itself",
        "eval \"$(./nexus env)\" && pulumi state repair -s STACK; backups are in .nexus/state/.pulumi/backups",
    ),
)  # fmt: skip


def known(text: str) -> Known | None:
    """The first row that matches."""
    return next((row for row in KNOWN if re.search(row.pattern, text, re.IGNORECASE | re.DOTALL)), None)


def failure(what: str, text: str, log: str = "") -> Failure:
    """A failure from what a tool said: known ones with their remedy, others with the tool's own words, folded."""
    lines = [line.removeprefix("error: ") for line in text.strip().splitlines() if line.strip()]
    why = "\n".join(console.fold(lines, log)) or "it gave no reason"
    row = known(text)
    if row:
        return Failure(row.what, why, row.remedy, row.code)
    return Failure(what, why, f"the engine's events are in {log}" if log else "`./nexus doctor` checks this machine")
