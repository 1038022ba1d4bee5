"""Bring the services' databases up to date: ``python -m services.migrations [--check]``.

Exit code 0 when all are (with ``--check``: were already), 1 when one is not, 2 when the settings are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence

from services.migrations.runner import Outcome, run
from services.migrations.settings import SettingsError, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and say what was done."""
    parser = argparse.ArgumentParser(prog="python -m services.migrations", description="Bring databases up to date.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something would be")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        settings = load(os.environ)
        results = asyncio.run(run(settings, check=chosen.check))
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    done = [result for result in results if isinstance(result, Outcome)]
    failures = [result for result in results if not isinstance(result, Outcome)]
    changed = [outcome for outcome in done if outcome.applied]
    verb = "would get" if chosen.check else "got"
    for outcome in changed:
        sys.stdout.write(f"{outcome.database}: {verb} {', '.join(outcome.applied)} of {outcome.history}\n")
    sys.stdout.write(
        f"{len(done) - len(changed)} of {len(results)} were up to date ({time.monotonic() - started:.1f} s)\n"
    )
    for failure in failures:
        sys.stderr.write(f"{failure or repr(failure)}\n")
    return 1 if failures or (chosen.check and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
