"""A local double of the part of GitHub's REST API that comments need: paging, permissions, limits, sudden company."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = {"user": {"login": "github-actions[bot]", "type": "Bot"}, "author_association": "NONE"}
STRANGER = {"user": {"login": "mallory", "type": "User"}, "author_association": "NONE"}
MEMBER = {"user": {"login": "ann", "type": "User"}, "author_association": "MEMBER"}
TOKEN = "ghs_of_the_tests"
#: The API's own: the most comments of a page, the longest body.
MOST, LONGEST = 100, 65536


@dataclass
class GitHub:
    """Comments of one pull request; ``answers`` are given before any real one, ``before`` is called at a request."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    url: str = ""
    number: int = 7
    _ids: int = 100

    def add(self, body: str, author: dict[str, Any] = BOT) -> dict[str, Any]:
        self._ids += 1
        self.comments.append({"id": self._ids, "body": body, **author})
        return self.comments[-1]

    @property
    def writes(self) -> list[str]:
        return [one.split()[0] for one in self.requests if not one.startswith("GET")]

    def handle(self, method: str, target: str, headers: Any, content: bytes) -> tuple[int, dict[str, str], Any]:
        self.requests.append(f"{method} {target}")
        self.before(method)
        if self.answers:
            status, more, message = self.answers.pop(0)
            return status, more, {"message": message}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {}, {"message": "Bad credentials"}
        parts = urlsplit(target)
        if parts.path == f"/repos/acme/nexus/issues/{self.number}/comments":
            return self._listed(parts.query) if method == "GET" else self._added(json.loads(content)["body"])
        found = re.fullmatch(r"/repos/acme/nexus/issues/comments/(\d+)", parts.path)
        one = next((one for one in self.comments if found and one["id"] == int(found[1])), None)
        if one is None:
            return 404, {}, {"message": "Not Found"}
        if method == "DELETE":
            self.comments.remove(one)
            return 204, {}, None
        one["body"] = json.loads(content)["body"]
        return 200, {}, one

    def _listed(self, query: str) -> tuple[int, dict[str, str], Any]:
        asked = parse_qs(query)
        size, page = min(MOST, int(asked.get("per_page", ["30"])[0])), int(asked.get("page", ["1"])[0])
        links = {}
        if page * size < len(self.comments):
            base = f"{self.url}/repos/acme/nexus/issues/{self.number}/comments?per_page={size}"
            links = {"Link": f'<{base}&page={page + 1}>; rel="next", <{base}&page=99>; rel="last"'}
        return 200, links, self.comments[(page - 1) * size : page * size]

    def _added(self, body: str) -> tuple[int, dict[str, str], Any]:
        if len(body) > LONGEST:
            return 422, {}, {"message": "Body is too long (maximum is 65536 characters)"}
        return 201, {}, self.add(body)


@contextmanager
def serve() -> Iterator[GitHub]:
    """The double, on a free port."""
    made = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, document = made.handle(self.command, self.path, self.headers, content)
            payload = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815  named by the library

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
