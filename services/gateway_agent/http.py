"""JSON over HTTP, with the interpreter's own library."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

#: Seconds for an answer.
TIMEOUT = 5.0
#: No proxy: both servers are on the platform's own network.
_OPENER = build_opener(ProxyHandler({}))


class RefusedError(Exception):
    """The server answered that it will not."""

    def __init__(self, method: str, path: str, status: int, text: str) -> None:
        super().__init__(f"{method} {path}: {status} {text}"[:500])
        self.status = status


class AwayError(Exception):
    """The server did not answer, or not with an answer."""


class Server:
    """One server's interface; ``headers`` go with every request, ``before`` is called before each."""

    def __init__(self, address: str, before: Callable[[], None]) -> None:
        self._address, self._before = address.rstrip("/"), before
        self.headers: dict[str, str] = {}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and return the document. Raises ``RefusedError`` and ``AwayError``."""
        self._before()
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, **({"Content-Type": "application/json"} if data else {})}
        request = Request(f"{self._address}{path}", data, headers, method=method)  # noqa: S310 - from the settings
        try:
            with _OPENER.open(request, timeout=TIMEOUT) as answer:
                text = answer.read()
                return json.loads(text) if text else {}
        except HTTPError as error:
            with error:
                text = error.read(1000).decode(errors="replace")
            if error.code >= 500 or error.code == 429:
                raise AwayError(f"{method} {path}: {error.code} {text}"[:500]) from None
            raise RefusedError(method, path, error.code, text) from None
        except (URLError, OSError, http.client.HTTPException, ValueError) as error:
            raise AwayError(f"{method} {path}: {getattr(error, 'reason', error) or type(error).__name__}") from None

    def text(self, path: str) -> str:
        """Return a document that is not JSON. Raises ``AwayError``."""
        self._before()
        try:
            with _OPENER.open(f"{self._address}{path}", timeout=TIMEOUT) as answer:
                return answer.read().decode()
        except (URLError, OSError, http.client.HTTPException, ValueError) as error:
            raise AwayError(f"GET {path}: {error}") from None
