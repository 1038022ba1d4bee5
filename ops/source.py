"""Upstream or local: whether the official CLI, plugins and images can be had here. Asked once, remembered.

A stack must not change its images because a network was slow for a moment, so the answer of the first run is kept in
``.nexus/source`` until ``--source`` says otherwise (``--source auto`` asks again).
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from ops import paths

UPSTREAM, LOCAL, AUTO = "upstream", "local", "auto"
#: Seconds for the whole probe.
LIMIT = 3.0
#: What must answer, and with which status: an image registry asks for a token (401) or lets in (200).
REGISTRY = ("NEXUS_REGISTRY_PROBE", "https://registry-1.docker.io/v2/", (200, 401))
DOWNLOADS = ("NEXUS_DOWNLOADS_PROBE", "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-checksums.txt", (200,))
FILE = paths.PRIVATE / "source"


@dataclass(frozen=True)
class Decision:
    """``source`` is ``upstream`` or ``local``; ``why`` is one sentence for people."""

    source: str
    why: str


def decide(asked: str | None) -> Decision:
    """The source of this run: asked for, set in NEXUS_SOURCE, remembered, or probed now."""
    if asked in (UPSTREAM, LOCAL):
        return _remember(Decision(asked, "asked for with --source"))
    if asked is None:
        if (variable := os.environ.get("NEXUS_SOURCE")) in (UPSTREAM, LOCAL):
            return Decision(variable, "set in NEXUS_SOURCE")
        if known := recorded():
            return known
    return _remember(probe())


def recorded() -> Decision | None:
    """What an earlier run found, if any."""
    try:
        document = json.loads(FILE.read_text())
        return Decision(document["source"], document["why"]) if document["source"] in (UPSTREAM, LOCAL) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def probe(limit: float = LIMIT) -> Decision:
    """Ask both servers at the same time; ``upstream`` only when both answer as they should within ``limit`` seconds."""
    targets = [(os.environ.get(variable) or url, statuses) for variable, url, statuses in (REGISTRY, DOWNLOADS)]
    answers: queue.Queue[tuple[str, str]] = queue.Queue()
    for url, statuses in targets:
        # Daemons: a name server that does not answer cannot be interrupted, and must not keep the process.
        threading.Thread(target=lambda u=url, s=statuses: answers.put((u, _problem(u, s, limit))), daemon=True).start()
    waiting, deadline = {url for url, _ in targets}, time.monotonic() + limit
    while waiting:
        try:
            url, problem = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return Decision(LOCAL, f"no answer within {limit:g} s from {', '.join(sorted(waiting))}")
        if problem:
            return Decision(LOCAL, f"{url} {problem}")
        waiting.discard(url)
    return Decision(UPSTREAM, "the image registry and the Pulumi downloads answer")


def _problem(url: str, statuses: tuple[int, ...], limit: float) -> str:
    """Empty when the server answers as it should, else why not."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=limit) as response:  # noqa: S310
            status = response.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (OSError, ValueError) as error:
        return f"cannot be reached ({getattr(error, 'reason', None) or error})"
    return "" if status in statuses else f"answered {status}"


def _remember(decision: Decision) -> Decision:
    FILE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = FILE.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"source": decision.source, "why": decision.why}) + "\n")
    temporary.replace(FILE)
    return decision
