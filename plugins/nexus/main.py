"""The entry point of the local provider: serve it, and end when the engine that started it is gone."""

import gc
import os
import sys
import threading
import time

gc.disable()  # the plugin lives as long as a command: seconds

from provider import NexusProvider  # noqa: E402
from pulumi.provider.experimental.server import main  # noqa: E402

VERSION = "0.1.0"


def end_with(parent: int) -> None:
    """A killed engine cannot say goodbye; without this its plugin would outlive it and go on changing containers."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    main(sys.argv[1:], VERSION, NexusProvider())
