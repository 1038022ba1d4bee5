"""The outermost layer of a request: correlation id, access log, metrics, the gateway's prefix, unforeseen errors."""

from __future__ import annotations

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.dependency import milliseconds
from services.common.logs import correlation_id
from services.common.metrics import Metrics
from services.common.problems import problem

log = logging.getLogger("services.access")

#: What callers may send: it is logged and echoed, so it is bounded and plain.
_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
#: Asked every few seconds for ever; at `info` they would drown the rest.
_QUIET = frozenset({"/health", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observe:
    """ASGI middleware; plain ASGI because it also has to see streams and errors, and costs least."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
        if _PREFIX.fullmatch(prefix):
            scope["root_path"] = prefix
        request_id = self._request_id(headers)
        token = correlation_id.set(request_id)
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Correlation-ID"] = request_id
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, answer)
        except Exception:
            log.exception("request failed")
            if not status:
                await problem(500, "The service failed; its log has the details.")(scope, receive, answer)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status, time.perf_counter() - started)
            correlation_id.reset(token)

    @staticmethod
    def _request_id(headers: Headers) -> str:
        for name in ("x-correlation-id", "x-request-id"):
            if _ID.fullmatch(headers.get(name, "")):
                return headers[name]
        return uuid4().hex

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # By template, never by path: what callers send must not make new time series.
        route = getattr(scope.get("route"), "path_format", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.duration.labels(method, route).observe(seconds)
        client = scope.get("client")
        log.log(
            logging.DEBUG if scope["path"] in _QUIET else logging.INFO,
            "%s %s %d",
            method,
            scope["path"],
            status,
            extra={
                "method": method,
                "path": scope["path"],
                "route": route,
                "status": status,
                "duration_ms": milliseconds(seconds),
                "client": client[0] if client else "",
            },
        )
