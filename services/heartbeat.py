"""The heartbeat of a program that serves nothing: whoever looks at its file knows that its loop still turns."""

from __future__ import annotations

import faulthandler
import time
from pathlib import Path

#: Read by the health check in ``infra/contracts.yaml``.
FILE = Path("/tmp/alive")  # noqa: S108 - a tmpfs of the container's own
#: Seconds without a beat until the health check fails: so found as soon as a server whose check gets no answer.
SILENCE = 10
#: Seconds without a beat until the program is ended: above the 60 s that a call of the engine may take.
HUNG = 90.0
#: Seconds between two beats of a program that only waits.
STEP = 4.0


class Heartbeat:
    """The file says until when nothing need be heard, in seconds of the epoch.

    A program that was not heard for ``hung`` seconds is ended, with what it was doing in its log, and its container
    starts again; with None it is not.
    """

    def __init__(self, file: Path = FILE, hung: float | None = HUNG) -> None:
        self._file, self._hung = file, hung

    def beat(self) -> None:
        """Be heard."""
        if self._hung:
            faulthandler.dump_traceback_later(self._hung, exit=True)  # instead of the one before
        self._file.write_text(f"{int(time.time()) + SILENCE}\n")

    def sleep(self, seconds: float) -> None:
        """Wait, and be heard meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.beat()
            time.sleep(min(left, STEP))
