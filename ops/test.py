"""`nexus test`: everything that CI runs, with what the tests need made first."""

from __future__ import annotations

import subprocess

from ops import bootstrap, console, engine, environment, inputs, paths
from ops import source as sources

#: With one of these, pytest neither needs an engine nor images.
LIGHT = {"--collect-only", "--co", "--help", "-h", "--version", "--markers", "--fixtures"}
#: Directories of tests that need nothing but Python.
PURE = ("tests/unit", "tests/architecture", "tests/components", "tests/alerts")


#: Most of the time is waiting for servers, so two workers share a whole run (tests/conftest.py says how).
SHARED = ("-n", "2", "--no-loadscope-reorder")


def needs_engine(arguments: list[str]) -> bool:
    """Whether what is asked for runs more than pure tests."""
    if LIGHT & set(arguments):
        return False
    named = [argument for argument in arguments if argument.split("::")[0].removeprefix("./").startswith("tests")]
    return not named or not all(argument.removeprefix("./").startswith(PURE) for argument in named)


def run(source: str | None, arguments: list[str]) -> int:
    """Run pytest; its exit code is ours, and its closing line the last. An engine started for it is stopped again."""
    before = engine.started()
    try:
        return _run(source, arguments)
    finally:
        after = engine.started()
        if after and after != before:
            engine.stop(after)


def _run(source: str | None, arguments: list[str]) -> int:
    decision = sources.decide(source)
    toolchain = None
    if needs_engine(arguments):
        chosen = inputs.load("dev")
        ready = bootstrap.run(decision.source, chosen.image_names, decision.source, chosen.settings.registry)
        toolchain = ready.toolchain
        took = ", ".join(f"{name} {console.seconds(seconds)}" for name, seconds in ready.seconds.items())
        console.say(f"ready to test: {took}")
    python = str(paths.ROOT / ".venv" / "bin" / "python")
    values = environment.process(decision.source, toolchain)
    shared = SHARED if not arguments else ()
    return subprocess.run(
        [python, "-m", "pytest", *shared, *arguments], cwd=paths.ROOT, env=values, check=False
    ).returncode
