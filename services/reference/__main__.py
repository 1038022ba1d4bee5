"""Start the service: ``python -m services.reference``. Exit code 0 after a stop, 2 when the settings are wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys

from services.common.settings import SettingsError, load, unknown


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # The server raises the signal that stopped it once more when it is done: a wanted stop is exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

    import uvicorn  # noqa: PLC0415 - wrong settings are told before anything heavy is loaded

    from services.common import logs  # noqa: PLC0415
    from services.reference.app import create_app  # noqa: PLC0415

    logs.configure(settings)
    for name in unknown(os.environ):
        logging.getLogger(__name__).warning("%s is not a setting of this service and has no effect", name)
    try:
        app = create_app(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uvicorn.run(
        app,
        host=settings.bind,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than a gateway keeps an idle connection (60 s), so that it is never the loser
        timeout_graceful_shutdown=settings.stop_seconds,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
