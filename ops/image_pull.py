"""Pulls an original image from its registry, with progress and retries, and says in plain words why it cannot."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from ops.errors import Failure

Report = Callable[[str], None]
#: Pauses of 1, 2 and 4 s ride out a dropped connection; a registry that is down stays down longer than anybody waits.
ATTEMPTS = 4
#: Seconds between two lines of progress.
PROGRESS = 2.0
#: What a registry says when asking again cannot help.
_FINAL = (
    "manifest unknown",
    "not found",
    "no such image",
    "repository does not exist",
    "invalid reference",
    "denied",
    "unauthorized",
    "does not match",
    "verification failed",
    "no matching manifest",
    "toomanyrequests",
    "http response to https",
    "no space left",
)


class _PullError(Exception):
    """One attempt failed; the text is the registry's or the engine's."""


def pull(client: Any, reference: str, report: Report) -> None:
    """Pulls ``reference`` (tag, digest or both). Raises Failure."""
    report(f"pulling {reference}")
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(max=8),
        retry=retry_if_exception(_may_pass),
        before_sleep=lambda state: report(f"pulling {reference} again (attempt {state.attempt_number + 1})"),
        reraise=True,
    )
    try:
        attempts(_once, client, reference, report)
    except _PullError as error:
        raise _failure(reference, str(error)) from None


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, _PullError) and not any(text in str(error).lower() for text in _FINAL)


def _once(client: Any, reference: str, report: Report) -> None:
    from docker.errors import APIError
    from requests.exceptions import RequestException

    name, _, digest = reference.partition("@")
    name, tag = _split_tag(name)
    layers: dict[str, tuple[int, int]] = {}
    told = time.monotonic()
    try:
        for step in client.api.pull(name, tag=digest or tag, stream=True, decode=True):
            if "error" in step:
                raise _PullError(step["error"])
            detail = step.get("progressDetail") or {}
            if step.get("status") == "Downloading" and detail.get("total"):
                layers[step["id"]] = (detail.get("current", 0), detail["total"])
            if layers and time.monotonic() - told > PROGRESS:
                told = time.monotonic()
                done, total = (sum(part) / 1e6 for part in zip(*layers.values(), strict=True))
                report(f"pulling {reference}: {done:.0f} of {total:.0f} MB")
    except (APIError, RequestException) as error:
        raise _PullError(getattr(error, "explanation", None) or str(error)) from None


def _split_tag(name: str) -> tuple[str, str | None]:
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, None)


def _failure(reference: str, why: str) -> Failure:
    what = f"image {reference} could not be pulled"
    low = why.lower()
    if "no space left" in low:
        return Failure(what, why, "free disk space where the engine keeps its images, then run the command again")
    if "verification failed" in low or "does not match" in low:
        return Failure(what, why, "the registry or mirror serves something else under that digest: do not trust it")
    if "@" in reference and ("manifest unknown" in low or "not found" in low):
        remedy = "the registry does not have the digest pinned in infra/images.yaml: `./nexus images pin` pins it anew"
        return Failure(what, why, remedy)
    if "manifest unknown" in low or "not found" in low or "does not exist" in low:
        return Failure(what, why, "correct its tag in infra/images.yaml, or the mirror in the setting nexus:registry")
    if "denied" in low or "unauthorized" in low or "toomanyrequests" in low:
        return Failure(what, why, "`docker login` to the registry, or set a mirror of it: nexus:registry")
    return Failure(what, why, "check the network, set a mirror (nexus:registry), or build it here: --source local")
