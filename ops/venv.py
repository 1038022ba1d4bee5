"""Makes `.venv` from the pinned requirements. Run by the launcher with the system's Python: standard library alone.

The stamp of a requirements file (`.venv/.installed-<file>`, its `cksum`) is written last, so an interrupted run leaves
none and the next one starts over; pip's own cache keeps the downloads.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

#: Of `ops.errors`, which cannot be imported yet.
FAILED, MACHINE = 1, 3


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def stop(what: str, why: str, remedy: str, code: int) -> None:
    """End with the three lines of every failure."""
    say(f"error: {what}\n  why:        {why}\n  what to do: {remedy}")
    sys.exit(code)


def checksum(file: Path) -> str:
    """As the launcher computes it."""
    with file.open("rb") as stream:
        return subprocess.run(["cksum"], stdin=stream, capture_output=True, text=True, check=True).stdout.strip()


def ensure_module() -> None:
    """Debian ships Python without `venv`'s ensurepip; get it when allowed to, else say how."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python3.{sys.version_info.minor}-venv"
    command = ["apt-get", "install", "-y", "--no-install-recommends", package]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"Python's venv module is missing: {' '.join(command)}")
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        if subprocess.run(command, check=False, **quiet).returncode == 0:
            return
        subprocess.run(["apt-get", "update"], check=False, **quiet)
        if subprocess.run(command, check=False, **quiet).returncode == 0:
            return
    stop("Python's venv module is missing", "Debian packages it apart", f"sudo {' '.join(command)}", MACHINE)


def pip(venv: Path, *arguments: str) -> None:
    """Run pip of the environment; its own words are the reason when it fails."""
    command = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        last = "\n              ".join((result.stderr or result.stdout).strip().splitlines()[-5:])
        stop(
            f"pip {' '.join(arguments[:2])} failed",
            last,
            "check that a Python package index is reachable (PIP_INDEX_URL, proxy), then run the command again",
            FAILED,
        )


def install(root: Path, venv: Path, file: str) -> None:
    """Install what ``file`` pins, unless it is installed already."""
    wanted, stamp = checksum(root / file), venv / f".installed-{file}"
    if stamp.exists() and stamp.read_text().strip() == wanted:
        return
    stamp.unlink(missing_ok=True)
    started = time.monotonic()
    say(f"installing Python packages of {file} (about a minute the first time) ...")
    pip(venv, "install", "--quiet", "--require-hashes", "-r", str(root / file))
    temporary = stamp.with_suffix(".new")
    temporary.write_text(wanted + "\n")
    temporary.replace(stamp)
    say(f"installed {file} in {time.monotonic() - started:.0f} s")


def make(root: Path, base: str, *files: str) -> None:
    """Make the environment anew when ``base`` changed or it was left half done; then install every file."""
    venv = root / ".venv"
    stamp = venv / f".installed-{base}"
    matches = stamp.exists() and stamp.read_text().strip() == checksum(root / base)
    if not (matches and os.access(venv / "bin/python", os.X_OK)):
        ensure_module()
        say(f"making .venv with Python {sys.version.split()[0]} ...")
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    for file in dict.fromkeys((base, *files)):
        install(root, venv, file)


def main() -> None:
    """``venv.py ROOT BASE [FILE...]``; one run at a time."""
    root = Path(sys.argv[1])
    private = root / ".nexus"
    private.mkdir(mode=0o700, exist_ok=True)
    with (private / "venv.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is making .venv: waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        make(root, *sys.argv[2:])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted; run the command again to go on")
        sys.exit(130)
