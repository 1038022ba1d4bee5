"""The entry point of the local provider: serve it, and end when the engine that started it is gone."""

import os
import sys
import threading
import time

from provider import NexusProvider
from pulumi.provider.experimental.server import main

VERSION = "0.1.0"


def end_with(parent: int) -> None:
    """A killed engine cannot say goodbye; without this its plugin would outlive it and go on changing containers."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    main(sys.argv[1:], VERSION, NexusProvider())
