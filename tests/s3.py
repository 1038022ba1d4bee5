"""An S3 server on this machine, as buckets of other vendors answer."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port

START_SECONDS = 60


@contextmanager
def bucket(name: str = "bucket") -> Iterator[str]:
    """The address, ``127.0.0.1:1234``, of a server that has one empty bucket. It lets everybody in."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + START_SECONDS
    try:
        while True:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT")
            try:
                urllib.request.urlopen(request, timeout=30).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "the server does not start"
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
