"""`nexus doctor`: what this machine must have, checked now."""

from __future__ import annotations

import json

from ops import console, inputs, preflight
from ops.errors import MACHINE, Failure
from ops.failures import as_failure
from ops.inputs import Inputs
from ops.preflight import Check

STYLES = {preflight.OK: "green", preflight.WARNING: "yellow", preflight.FAILED: "red"}


def settings_of(stack: str) -> tuple[Inputs | None, Failure | None]:
    """The stack's inputs, or why they cannot be read."""
    try:
        return inputs.load(stack), None
    except Exception as error:  # only those with a remedy are ours to report
        failure = as_failure(error)
        if failure is None:
            raise
        return None, failure


def show(check: Check) -> None:
    """One check for people; rule and remedy only where something is to be done."""
    out = console.out()
    out.print(f"{check.result:<8}", style=STYLES[check.result], end=" ")
    out.print(f"{check.name:<14} {check.value}", markup=False)
    if check.result != preflight.OK:
        out.print(f"{'':24}rule:       {check.rule}\n{'':24}what to do: {check.remedy}", markup=False)


def run(stack: str, as_json: bool) -> int:
    """Print every check; 3 when one failed."""
    chosen, problem = settings_of(stack)
    checks = []
    for check in preflight.every(stack, chosen, problem):
        checks.append(check)
        if not as_json:
            show(check)
    failed = [check for check in checks if check.result == preflight.FAILED]
    if as_json:
        found = {"stack": stack, "ok": not failed, "checks": [check.document() for check in checks]}
        console.write(json.dumps(found, indent=2))
    else:
        console.write(f"\n{len(checks) - len(failed)} of {len(checks)} checks passed")
    return MACHINE if failed else 0
