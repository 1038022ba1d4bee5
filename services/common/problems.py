"""Errors as RFC 9457 ``application/problem+json``, each with the request's correlation id."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from services.common.dependency import DependencyAwayError
from services.common.logs import correlation_id

#: Seconds a caller is asked to wait: healing after a server's restart takes about as long.
RETRY_AFTER = 2


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """Build the answer; ``members`` are the document's extension members."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "correlation_id": correlation_id.get(),
        **members,
    }
    return Response(json.dumps(document), status, headers, media_type="application/problem+json")


async def _away(_: Request, error: Exception) -> Response:
    assert isinstance(error, DependencyAwayError)
    detail = f"{error.name} is away at the moment; try again in {RETRY_AFTER} s."
    return problem(503, detail, {"Retry-After": str(RETRY_AFTER)}, dependency=error.name)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": "/".join(str(part) for part in item["loc"]), "rule": item["msg"], "kind": item["type"]}
        for item in error.errors()
    ]
    return problem(422, "The request does not follow the schema; see `errors`.", errors=errors)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), dict(error.headers or {}))


def install(app: FastAPI) -> None:
    """Have the application answer all its errors as problems."""
    app.add_exception_handler(DependencyAwayError, _away)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
