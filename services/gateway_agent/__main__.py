"""Run the agent: ``python -m services.gateway_agent``. Exit code 0 after a stop, 2 when the settings are wrong."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.gateway_agent import certificate, keys
from services.gateway_agent.http import AwayError, RefusedError, Server
from services.gateway_agent.keys import NotDeclaredError
from services.gateway_agent.settings import Settings, SettingsError, load
from services.gateway_agent.vault import Vault
from services.heartbeat import Heartbeat

log = logging.getLogger("services.gateway_agent")

SERVICE = "gateway-agent"
#: There once the gateway has had all it needs: what waits for the agent waits for this.
DONE = Path("/tmp/synchronised")  # noqa: S108 - a tmpfs of the container's own
#: Seconds between tries while something is away or not there yet.
FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0


class JsonLines(logging.Formatter):
    """One JSON object a line, as the services write: a server's words may have quotes and line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time (UTC), level, logger and message."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"timestamp": moment.replace("+00:00", "Z"), "level": record.levelname.lower(), "service": SERVICE}
        return json.dumps({**line, "logger": record.name, "message": record.getMessage()})


class Agent:
    """Looks at both sides, and brings the gateway to what Vault has. It is heard whatever the servers do."""

    def __init__(self, settings: Settings, heart: Heartbeat) -> None:
        self._settings, self._heart = settings, heart
        self._vault = Vault(Server(f"{settings.vault}/v1", heart.beat), settings.service, settings.secret_id_file)
        self._kong = Server(settings.kong, heart.beat)
        self._problem = ""

    def look(self) -> bool:
        """Do what there is to do; whether all of it was done. Keys come first: they need no certificate."""
        problems = []
        for work in (self._keys, self._certificate):
            try:
                self._introduce()
                work()
            except (AwayError, RefusedError, NotDeclaredError, OSError) as error:
                problems.append(str(error))
        self._note("; ".join(dict.fromkeys(problems)))
        if not problems:
            DONE.touch()
        return not problems

    def run(self) -> None:
        """Look again and again, for ever; soon after trouble."""
        delay = FIRST_DELAY
        while True:
            if self.look():
                delay = FIRST_DELAY
                self._heart.sleep(self._settings.poll)
            else:
                self._heart.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
                delay = min(2 * delay, LONGEST_DELAY)

    def close(self) -> None:
        """Leave nothing behind at Vault."""
        self._vault.close()

    def _introduce(self) -> None:
        """Have the gateway know the agent by the password as it is now."""
        if file := self._settings.kong_password_file:
            login = f"{self._settings.kong_user}:{file.read_text(encoding='utf-8').strip()}".encode()
            self._kong.headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}

    def _keys(self) -> None:
        keys.synchronise(self._vault, self._kong, self._settings.roles)

    def _certificate(self) -> None:
        certificate.synchronise(self._vault, self._kong, self._settings.names)

    def _note(self, problem: str) -> None:
        """Write a problem down when it is a new one, and when it is over."""
        if problem != self._problem:
            if problem:
                log.warning("not up to date: %s", problem)
            else:
                log.info("up to date again")
        self._problem = problem


def main() -> int:
    """Run until told to stop."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    DONE.unlink(missing_ok=True)
    try:
        settings = load(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    agent = Agent(settings, Heartbeat())
    try:
        agent.run()
    finally:
        agent.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
