"""Ports for the servers of tests."""

from __future__ import annotations

import itertools
import os
import socket

#: Above those of environments on one host (28,099), below those that outgoing connections take (32,768).
FIRST, COUNT = 28_100, 4_600
_numbers = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds, not even a closing connection; never the same one twice in a run."""
    for number in itertools.islice(_numbers, COUNT):
        port = FIRST + number % COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {FIRST} to {FIRST + COUNT}")
