"""`./nexus` as the workflows' steps call it under test: the real command line, on recorded plans instead of an engine.

`FAKE_PLAN` names the recorded stream, `FAKE_PLAN_OF_PROD` another one for prod; `none` is a preview that fails.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ops import changes, cli, inputs, majors, paths, plan, preview, session, up
from ops.errors import Failure
from ops.events import Tracker
from ops.session import Session
from ops.workspace import Workspace
from tests.unit.plans import recorded

TEMP = Path(os.environ["RUNNER_TEMP"])


def begin(stack: str, *_: Any, **__: Any) -> Session:
    phrase = Path(os.environ["PULUMI_CONFIG_PASSPHRASE_FILE"])
    if phrase.stat().st_mode & 0o077 or not phrase.read_text():
        raise Failure("the passphrase is not kept as it should be")
    return Session(inputs.load(stack), "local", Workspace(stack, Path("pulumi"), dict(os.environ), paths.ROOT))


def look(workspace: Workspace, **_: Any) -> tuple[list[changes.Change], Tracker, Failure | None]:
    name = os.environ.get(f"FAKE_PLAN_OF_{workspace.stack.upper()}") or os.environ["FAKE_PLAN"]
    if name == "none":
        return [], Tracker(), Failure("the program failed")
    tracker = Tracker()
    return changes.collect(recorded(name), tracker), tracker, None


def recorded_update(current: Session, **how: Any) -> tuple[Tracker, list[Any]]:
    (TEMP / "provisioned").write_text(f"{current.inputs.stack} {how['held']}")
    return Tracker(), []


if __name__ == "__main__":
    if sys.argv[1] == "drift":  # its exit code is what the job makes of it
        sys.exit(int(os.environ["FAKE_DRIFT"]))
    paths.PRIVATE = TEMP / "private"
    session.begin, preview.look, up.recorded = begin, look, recorded_update  # type: ignore[assignment]
    up.finish = lambda *_: None  # type: ignore[assignment]
    majors.check = lambda *_: None
    plan.state = lambda _: ""  # type: ignore[assignment]
    plan._git = lambda *_, **__: "0" * 40  # type: ignore[assignment]
    cli.main()
