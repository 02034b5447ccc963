"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bridge.errors import (
    ActionRefused,
    BadCursor,
    CommitError,
    HookferryError,
    KafkaUnavailable,
    StoreUnavailable,
)
from bridge.telemetry import events
from bridge.telemetry.scrub import scrub

_log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
_STATUSES: tuple[tuple[type[HookferryError], int], ...] = (
    (BadCursor, 400),
    (ActionRefused, 409),
    (StoreUnavailable, 503),
    (KafkaUnavailable, 503),
    (CommitError, 503),
)


class Problem(Exception):
    """An answer with an error: its status and what a person reads."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: object) -> JSONResponse:
    """Return a problem document."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": scrub(detail),
        **more,
    }
    return JSONResponse(document, status, headers, MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Let an application answer every error with a problem document."""

    async def wrong(_: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, RequestValidationError)
        mistakes = [
            {"in": ".".join(map(str, error["loc"])), "cause": str(error["msg"])} for error in exc.errors()
        ]
        detail = "; ".join(f"{mistake['in']}: {mistake['cause']}" for mistake in mistakes[:5])
        return problem(422, detail or "the request is not valid", errors=mistakes)

    async def refused(_: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, Problem)
        return problem(exc.status, exc.detail, exc.headers)

    async def plain(_: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, HTTPException)
        headers = dict(exc.headers) if exc.headers else None
        return problem(exc.status_code, str(exc.detail), headers)

    async def ours(_: Request, exc: Exception) -> JSONResponse:
        status = next((code for kind, code in _STATUSES if isinstance(exc, kind)), 500)
        more: dict[str, Any] = {}
        if isinstance(exc, ActionRefused):
            more = {"place": scrub(exc.place), "cause": scrub(exc.cause), "remedy": scrub(exc.remedy)}
        return problem(status, str(exc), **more)

    async def bug(request: Request, exc: Exception) -> JSONResponse:
        _log.exception(events.CONSOLE_BUG, path=request.url.path, exc_info=exc)
        return problem(500, "an internal error; the log of the console has its cause")

    app.add_exception_handler(RequestValidationError, wrong)
    app.add_exception_handler(Problem, refused)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(HookferryError, ours)
    app.add_exception_handler(Exception, bug)
