"""When a container is restarted: pure rules, on what inspect shows and what was done before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: The first restart comes at once; a container that is ill again waits twice as long each time.
FIRST_PAUSE, LAST_PAUSE = 15.0, 600.0
#: A container that was well for this long starts again with the first pause.
FORGIVEN_AFTER = 300.0
#: A container that was never healthy since its start is starting, not hung, for this long: 4 times the start period.
PATIENCE = 120.0
#: Time for the engine's own restart policy, and for the event that tells a stop by hand from a kill.
SETTLED = 5.0


#: Processes that wait for each CPU, on the average of a minute, from which on a machine is too busy to answer checks in
#: time: restarts would make it busier. Checks of healthy containers timed out at 20 and more, and not below 8.
BUSY = 8.0


@dataclass
class Patient:
    """What the healer remembers of one container. Times are seconds of one monotonic clock."""

    restarts: int = 0
    not_before: float = 0.0
    well_since: float | None = None
    stopped_by_hand: bool = False
    starts_seen: set[str] = field(default_factory=set)


def needs_restart(state: Mapping[str, Any], patient: Patient, now: datetime, *, busy: bool = False) -> str | None:
    """Why the container should be restarted now, or None. ``state`` is ``State`` of its inspection.

    On a ``busy`` machine a check that fails says nothing of the container.
    """
    if just_ended(state, now):
        return None
    if state["Status"] == "exited" and not patient.stopped_by_hand and state["ExitCode"] != 0:
        # `docker kill` ends the engine's own restart policy too; a stop by hand is left alone.
        return f"it ended with {state['ExitCode']} and the engine does not start it"
    health = state.get("Health") or {}
    if state["Status"] != "running" or health.get("Status") != "unhealthy" or busy:
        return None
    started = state["StartedAt"]
    if started not in patient.starts_seen and age(started, now) < PATIENCE:
        return None
    return "its health check fails"


def just_ended(state: Mapping[str, Any], now: datetime) -> bool:
    """Whether it ended a moment ago, so that what follows is not known yet."""
    return state["Status"] == "exited" and age(state["FinishedAt"], now) < SETTLED


def note(state: Mapping[str, Any], patient: Patient, clock: float) -> None:
    """Remember what was just seen of a container."""
    if state["Status"] == "running":
        patient.stopped_by_hand = False
    if (state.get("Health") or {}).get("Status") != "healthy":
        patient.well_since = None
        return
    patient.starts_seen = {state["StartedAt"]}
    patient.well_since = clock if patient.well_since is None else patient.well_since
    if clock - patient.well_since >= FORGIVEN_AFTER:
        patient.restarts, patient.not_before = 0, 0.0


def restarted(patient: Patient, clock: float) -> None:
    """Remember a restart: the next one waits longer."""
    patient.not_before = clock + min(FIRST_PAUSE * 2**patient.restarts, LAST_PAUSE)
    patient.restarts += 1
    patient.well_since = None


def age(started: str, now: datetime) -> float:
    """Seconds since an engine's timestamp (RFC 3339, nanoseconds, UTC)."""
    return (now - datetime.fromisoformat(started[:19] + "+00:00")).total_seconds()
