"""Runs another version's `./nexus` on this clone's stack: same backend, same passphrase, same source of images."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from ops import console, irreversible
from ops.recording import TARGET
from ops.records import Record
from ops.workspace import Workspace, end_with_parent

#: What of a workspace's environment says where the state is and how it is read.
STACKS_OWN = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"


def environment(space: Workspace, source: str, target: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of its process. Paths are absolute, as it runs in another folder."""
    own = {name: space.env[name] for name in STACKS_OWN if name in space.env}
    if space.backend:
        query = own.get("PULUMI_BACKEND_URL", "").partition("?")[2]
        own["PULUMI_BACKEND_URL"] = space.backend.resolve().as_uri() + (f"?{query}" if query else "")
    if FILE in own:
        own[FILE] = str((space.root / own[FILE]).resolve())
    return {**environ, **own, "NEXUS_SOURCE": source, TARGET: str(target)}


def image_source(target: Record, source: str) -> list[str]:
    """The option that gives the version the images it had, where its settings and the source would not do so."""
    chosen = irreversible.config(target.settings).get("nexus:images", "auto")
    natural = source if chosen == "auto" else chosen
    return [] if target.source in ("", natural) else ["--source", target.source]


def run(project: Path, arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a verb, which speaks for itself; returns its exit code. Ctrl-C is passed on, and its end waited for."""
    process = subprocess.Popen(
        [str(project / "nexus"), *arguments], cwd=project, env=dict(env), stdin=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=end_with_parent,  # noqa: PLW1509  runs one system call
    )  # fmt: skip

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def answer(project: Path, arguments: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run a verb that changes nothing: its exit code and what it printed. Its failures are shown as they are."""
    command = [str(project / "nexus"), *arguments]
    done = subprocess.run(
        command, cwd=project, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        console.say(done.stderr.rstrip())
    return done.returncode, done.stdout
