"""Follows an update through the engine's events: what runs now, what took how long, what failed and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

STACK_TYPE = "pulumi:pulumi:Stack"
QUIET = {"same", "read", "refresh", "replace"}
#: What the engine says at the end of every failed run; the reason is in other messages.
HOLLOW = {"update failed", "update canceled", "preview failed"}
#: The words for an operation that goes on and for one that is done.
DOING = {"create": "creating", "update": "updating", "delete": "deleting", "replace": "replacing",
         "create-replacement": "creating", "delete-replaced": "deleting", "refresh": "looking at", "same": "checking",
         "read": "reading"}  # fmt: skip
DONE = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced",
        "create-replacement": "created anew", "delete-replaced": "deleted", "refresh": "looked at"}  # fmt: skip


def name_of(urn: str) -> str:
    """The resource's name in the program."""
    return urn.rsplit("::", 1)[-1]


def short_type(token: str) -> str:
    """``docker:index/container:Container`` as people say it: ``Container``."""
    return token.rsplit(":", 1)[-1]


@dataclass
class Step:
    """One operation of an update; ``seconds`` is 0 until it ended."""

    op: str
    urn: str
    type: str
    started: float
    seconds: float = 0.0


@dataclass
class Tracker:
    """State of an update as its events tell it. ``report`` gets a line whenever something worth a line happens."""

    report: Callable[[str], None] = lambda _: None
    running: dict[str, Step] = field(default_factory=dict)
    finished: list[Step] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    messages: list[tuple[str, str]] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    drifted: list[str] = field(default_factory=list)
    policies: list[Mapping[str, Any]] = field(default_factory=list)  # what the policy pack found
    outputs: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""
        if "resourcePreEvent" in event:
            self._begin(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            self._end(event["resOutputsEvent"]["metadata"])
        elif "resOpFailedEvent" in event:
            self._fail(event["resOpFailedEvent"]["metadata"])
        elif "diagnosticEvent" in event:
            self._say(event["diagnosticEvent"])
        elif "policyEvent" in event:
            self.policies.append(event["policyEvent"])
        elif "summaryEvent" in event:
            self.changes.update(event["summaryEvent"].get("resourceChanges") or {})

    def _begin(self, data: Mapping[str, Any]) -> None:
        self.running[data["urn"]] = Step(data["op"], data["urn"], data["type"], time.monotonic())
        self._now()

    def _end(self, data: Mapping[str, Any]) -> None:
        step = self.running.pop(data["urn"], None) or Step(data["op"], data["urn"], data["type"], time.monotonic())
        step.seconds = time.monotonic() - step.started
        if data["op"] == "refresh":
            if _drift(data):
                self.drifted.append(data["urn"])
                self.report(f"changed outside: {short_type(data['type'])} {name_of(data['urn'])}")
            return
        self.finished.append(step)
        if data["type"] == STACK_TYPE:
            self.outputs = (data.get("new") or {}).get("outputs") or {}
        elif data["op"] not in QUIET and (data.get("new") or data.get("old") or {}).get("custom"):
            verb = DONE.get(data["op"], data["op"])
            self.report(f"{verb} {short_type(data['type'])} {name_of(data['urn'])} ({step.seconds:.1f} s)")
        self._now()

    def _fail(self, data: Mapping[str, Any]) -> None:
        self.running.pop(data["urn"], None)
        self.failed.append(data["urn"])
        self.inputs[data["urn"]] = (data.get("new") or data.get("old") or {}).get("inputs") or {}
        self.report(f"failed: {short_type(data['type'])} {name_of(data['urn'])}")

    def _say(self, data: Mapping[str, Any]) -> None:
        text = data.get("message", "").strip()
        if data.get("severity") in ("error", "warning") and text and text not in HOLLOW:
            self.messages.append((data.get("urn") or "", text))

    def _now(self) -> None:
        self.now(self.running.values())

    def now(self, running: Any) -> None:
        """What runs at this moment; a display replaces it."""

    def absorb(self, earlier: Tracker) -> None:
        """Count what an earlier update of the same run did as part of this one."""
        self.started = earlier.started
        self.finished[:0] = earlier.finished
        self.drifted[:0] = earlier.drifted
        self.changes.update({op: count for op, count in earlier.changes.items() if op not in QUIET - {"replace"}})

    @property
    def summary(self) -> str:
        """``2 created, 1 updated, 31 unchanged``."""
        words = {
            "create": "created",
            "update": "updated",
            "delete": "deleted",
            "replace": "replaced",
            "same": "unchanged",
        }
        return (
            ", ".join(f"{self.changes[op]} {word}" for op, word in words.items() if self.changes[op]) or "nothing to do"
        )

    def service_seconds(self, services: list[str]) -> dict[str, float]:
        """Seconds from the update's start until the last changed resource of each service was done."""
        found: dict[str, float] = {}
        for step in self.finished:
            name = name_of(step.urn)
            owner = max((s for s in services if name == s or name.startswith(f"{s}-")), key=len, default=None)
            if owner and step.op not in QUIET:
                found[owner] = max(found.get(owner, 0.0), step.started + step.seconds - self.started)
        return found


def _drift(data: Mapping[str, Any]) -> bool:
    """Whether a refresh found something else than the state has."""
    old, new = data.get("old") or {}, data.get("new") or {}
    return bool(old) and (not new or bool(data.get("detailedDiff")))
