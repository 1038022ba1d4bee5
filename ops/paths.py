"""Where things are kept: the project, its private state, and the cache that projects on one machine share."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: This clone's private files: state, passphrase, logs. Ignored by git.
PRIVATE = ROOT / ".nexus"
#: Compiled artefacts and downloads, keyed by their pinned inputs: sharing is safe, a second `up` compiles nothing.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nexus"
