"""One stack and the Pulumi CLI that works on it: the only module that starts `pulumi`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import diagnosis, environment, follow, paths
from ops.errors import Failure
from ops.failures import log_file
from ops.follow import Event

PROJECT = "nexus"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Workspace:
    """The stack's name, the CLI, and the environment it runs in."""

    stack: str
    pulumi: Path
    env: Mapping[str, str]
    root: Path = paths.ROOT

    @property
    def backend(self) -> Path | None:
        """The directory of a file backend; None when the state is kept elsewhere."""
        return environment.file_backend(self.env)

    @property
    def state_file(self) -> Path | None:
        """The stack's state in a file backend."""
        return self.backend / ".pulumi" / "stacks" / PROJECT / f"{self.stack}.json" if self.backend else None

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """A short command's output; raises Failure with what the CLI said."""
        command = [str(self.pulumi), *arguments, "--non-interactive", "--stack", self.stack]
        result = subprocess.run(
            command, cwd=self.root, env=dict(self.env), input=stdin, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise diagnosis.failure(f"pulumi {' '.join(arguments[:2])} failed", result.stderr or result.stdout)
        return result.stdout

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        if self.state_file:
            return self.state_file.exists()
        try:
            self.run("stack")
        except Failure as failure:
            if "no stack named" in failure.why:
                return False
            raise
        return True

    def ensure(self) -> bool:
        """Make the stack unless it is there; returns whether it was made."""
        if self.exists():
            return False
        command = [str(self.pulumi), "stack", "init", self.stack, "--non-interactive", "--no-select"]
        result = subprocess.run(command, cwd=self.root, env=dict(self.env), capture_output=True, text=True, check=False)
        if result.returncode:
            raise diagnosis.failure(f"the stack {self.stack} cannot be made", result.stderr)
        return True

    def export(self) -> dict[str, Any]:
        """The stack's state; secrets stay encrypted."""
        return json.loads(self.run("stack", "export"))

    def load(self, state: Mapping[str, Any]) -> None:
        """Replace the stack's state."""
        self.run("stack", "import", stdin=json.dumps(state))

    def events(self, verb: str, *arguments: str, timeout: float) -> Iterator[Event]:
        """Run `up`, `preview` or `destroy` and yield the engine's events as they come.

        The events go through a file: the CLI outlives a killed `nexus` for the moment it needs to finish what it
        has begun and to give the lock back, and must not die of a broken pipe meanwhile. Raises Failure at the end
        when the CLI failed; the events that say why have been yielded by then.
        """
        log = log_file(f"{self.stack}-{verb}", ".jsonl")
        command = [str(self.pulumi), verb, "--json", "--non-interactive", "--stack", self.stack, *arguments]
        env = {**self.env, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
        with log.open("rb") as reader, log.open("ab") as writer, log.with_suffix(".err").open("w+") as errors:
            process = subprocess.Popen(
                command, cwd=self.root, env=env, stdout=writer, stderr=errors, stdin=subprocess.DEVNULL,
                start_new_session=True, preexec_fn=end_with_parent,  # noqa: PLW1509  runs one system call
            )  # fmt: skip
            yield from follow.events(process, reader, timeout)
            errors.seek(0)
            said = errors.read().strip()
        log.with_suffix(".err").unlink(missing_ok=True)
        if process.returncode:
            raise diagnosis.failure(f"pulumi {verb} failed", said, str(log))


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """In the child: be asked to stop when `nexus` dies, however it dies, as if Ctrl-C had been pressed."""
    if _libc:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def select(stack: str, source: str, toolchain: Any) -> Workspace:
    """The workspace of a stack in the environment that every verb shares."""
    return Workspace(stack, toolchain.pulumi, environment.process(source, toolchain), Path(os.fspath(paths.ROOT)))
