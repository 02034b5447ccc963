"""Refuse requests before they reach a page or the API: unknown hosts, other sites, and large bodies.

Invariant: no more than ``MOST_BODY_BYTES`` of a body are ever in memory.
"""

from __future__ import annotations

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.console.api.problems import problem
from bridge.core.web_access import Refusal, WebAccess
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
MOST_BODY_BYTES = 256 * 1024
_HEADERS = {
    "server": "hookferry",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


_TOO_LARGE = f"a body must not have more than {MOST_BODY_BYTES} bytes"


class _TooLarge(HTTPException):
    """A body is larger than ``MOST_BODY_BYTES``. FastAPI passes on an error of this class only."""

    def __init__(self) -> None:
        super().__init__(413, _TOO_LARGE)


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, access: WebAccess) -> None:
        self._app = app
        self._access = access
        self._throttle = Throttle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            if self._throttle.allows(refusal.status):
                _log.warning(events.CONSOLE_REFUSED, reason=refusal.text)
            await problem(refusal.status, refusal.text)(scope, receive, _with_headers(send))
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, _bounded(receive), _with_headers(noted))
        except _TooLarge:
            if not started:
                await problem(413, _TOO_LARGE)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host")
        refusal = self._access.check_host(host) or self._access.check_change(
            scope["method"], host, headers.get("origin"), headers.get("sec-fetch-site")
        )
        length = headers.get("content-length", "0")
        if refusal is None and (not length.isdecimal() or int(length[:19]) > MOST_BODY_BYTES):
            return Refusal(413, _TOO_LARGE)
        return refusal


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MOST_BODY_BYTES:
            raise _TooLarge
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if "cache-control" not in headers:
                headers["cache-control"] = "no-store"
        await send(message)

    return with_headers
