"""`nexus doctor`: what this machine must have, checked now."""

from __future__ import annotations

import json

from ops import console, inputs, preflight
from ops.errors import MACHINE, Failure
from ops.failures import as_failure
from ops.inputs import Inputs

MARKS = {
    preflight.OK: "[green]ok[/green]",
    preflight.WARNING: "[yellow]warning[/yellow]",
    preflight.FAILED: "[red]failed[/red]",
}


def settings_of(stack: str) -> tuple[Inputs | None, Failure | None]:
    """The stack's inputs, or why they cannot be read."""
    try:
        return inputs.load(stack), None
    except Exception as error:  # only those with a remedy are ours to report
        failure = as_failure(error)
        if failure is None:
            raise
        return None, failure


def run(stack: str, as_json: bool) -> int:
    """Print every check; 3 when one failed."""
    chosen, problem = settings_of(stack)
    checks = []
    for check in preflight.every(stack, chosen, problem):
        checks.append(check)
        if not as_json:
            console.out().print(f"{MARKS[check.result]:<24} ", end="")
            console.out().print(f"{check.name:<14} {check.value}", markup=False)
            if check.result != preflight.OK:
                console.out().print(
                    f"{'':24} rule:       {check.rule}\n{'':24} what to do: {check.remedy}", markup=False
                )
    failed = [check for check in checks if check.result == preflight.FAILED]
    if as_json:
        found = {"stack": stack, "ok": not failed, "checks": [check.document() for check in checks]}
        console.write(json.dumps(found, indent=2))
    else:
        console.write(f"\n{len(checks) - len(failed)} of {len(checks)} checks passed")
    return MACHINE if failed else 0
