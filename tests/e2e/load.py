"""A client that asks without a pause while something is done to an environment."""

from __future__ import annotations

import threading
import time
from collections import Counter

import httpx

from tests.e2e.environment import Environment

PAUSE = 0.02


class Load:
    """Requests of a signed-in user through the gateway, one after the other; ``answers`` counts what came back."""

    def __init__(self, environment: Environment, path: str = "/api/v1/items") -> None:
        self.url, self.answers = f"{environment.outputs['url']}{path}", Counter[str]()
        self._trust, self._bearer = environment.trust, environment.bearer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with httpx.Client(verify=self._trust, timeout=10, trust_env=False, headers=self._bearer) as client:
            while not self._over.wait(PAUSE):
                try:
                    self.answers[str(client.get(self.url).status_code)] += 1
                except httpx.HTTPError as error:
                    self.answers[repr(error)] += 1

    def at_least(self, more: int, seconds: float = 30) -> None:
        """Wait until it has made so many further requests."""
        wanted, end = self.answers.total() + more, time.monotonic() + seconds
        while self.answers.total() < wanted:
            assert time.monotonic() < end, self.answers
            time.sleep(PAUSE)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
