"""Plans for tests: recorded streams of the engine's events, and steps made up in the same shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ops import changes, preview, preview_markdown
from ops.changes import Change, Preview
from ops.events import Tracker
from ops.steps import SIGNATURE

#: Recorded with `pulumi preview`, `up` and `destroy --json` on the platform; outputs and unchanged inputs are left out.
RECORDED = Path(__file__).parent / "events"
SECRET = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
CONTAINER = "docker:index/container:Container"


def recorded(name: str) -> list[dict[str, Any]]:
    """A recorded stream."""
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]


def event(
    op: str, name: str, type_: str = CONTAINER, *, old: Any = None, new: Any = None, parent: str = "", **more: Any
) -> dict[str, Any]:
    """One step as the engine tells it."""
    urn = f"urn:pulumi:dev::nexus::{type_}::{name}"

    def state(inputs: Mapping[str, Any] | None) -> dict[str, Any]:
        if inputs is None:
            return {}
        told = {key: more[key] for key in ("protect", "retainOnDelete", "taint", "outputs") if key in more}
        return {"type": type_, "urn": urn, "custom": True, "parent": parent, "inputs": inputs, **told}

    before, after = op not in ("create",), op not in ("delete", "delete-replaced")
    return {
        "resourcePreEvent": {
            "metadata": {
                "op": op, "urn": urn, "type": type_,
                "old": state(old if old is not None else {}) if before else {},
                "new": state(new if new is not None else {}) if after else {},
                **{key: more[key] for key in ("keys", "diffs", "detailedDiff") if key in more},
            }
        }
    }  # fmt: skip


def collect(*events: Mapping[str, Any]) -> list[Change]:
    """The changes of events."""
    return changes.collect(events, Tracker())


def previewed(name: str, *events: Mapping[str, Any]) -> Preview:
    """The preview of a recorded stream, or of events."""
    tracker = Tracker()
    found = changes.collect(events or recorded(name), tracker)
    return preview.of(name, found, tracker)


DOCUMENT = Path(__file__).resolve().parents[2] / "docs/pull-requests.md"
BEGIN, END = "<!-- the comment: written by `.venv/bin/python -m tests.unit.plans` -->\n", "<!-- its end -->\n"
#: What the walk-through is about: recorded plans, and the environment that each stands for.
SHOWN = {"dev": "added-service", "prod": "swarm-image"}


def comment() -> str:
    """The comment of the walk-through, as a quotation."""
    made = [replace(previewed(stream), stack=stack) for stack, stream in SHOWN.items()]
    page = preview_markdown.render(made, "https://github.com/acme/nexus/actions/runs/42")
    return "".join(f"> {line}".rstrip() + "\n" for line in page.splitlines())


def document() -> str:
    """The walk-through with the comment as it is now."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n{comment()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
