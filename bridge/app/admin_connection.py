"""One connection to the admin port: bounded in time and bytes, whatever the client does or leaves undone.

aiohttp limits a line, the number of headers and the idle time. This adds a deadline for everything that a
client can delay, a limit on the bytes of one request, and answers that name no version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class AdminLimits(NamedTuple):
    """What one client may use of the admin port."""

    connections: int
    idle_s: float = 10.0
    """From the connection, or the end of an answer, until the head of the next request is complete."""
    write_s: float = 20.0
    """From the moment at which an answer is ready until the next request; more than ``idle_s``."""
    handle_s: float = 30.0
    """From the complete head until the answer is ready; the client may still send the body."""
    request_bytes: int = 80 * 1024
    """Head and body of one request."""
    line_bytes: int = 8190
    """The request line, and each header."""


class NoAccessLog(AbstractAccessLogger):
    """Writes nothing: probes and scrapes would fill the log."""

    @property
    def enabled(self) -> bool:
        """Return False, so that ``log`` is never called."""
        return False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Do nothing."""


class AdminConnection(web.RequestHandler):
    """A connection that aborts itself when its client exceeds a limit.

    ``busy`` is True while a request is handled. Any other connection may be closed in favor of a new one:
    its client has sent no complete request, and can send it again.
    """

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        limits: AdminLimits,
        gone: Callable[[AdminConnection], None],
        closed_for: Callable[[str], None],
    ) -> None:
        """``gone`` is called when the connection has ended; ``closed_for`` with the limit that ended it."""
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=limits.idle_s,
            access_log_class=NoAccessLog,
            max_line_size=limits.line_bytes,
            max_field_size=limits.line_bytes,
            lingering_time=0,
        )
        self.busy = False
        self.idle_since = loop.time()
        self._limits = limits
        self._gone = gone
        self._closed_for = closed_for
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Note that a request has begun to be handled."""
        self.busy = True
        self._arm(self._limits.handle_s, "a request that takes too long")

    def end(self) -> None:
        """Note that its answer is ready, and is being written."""
        self.busy = False
        self.idle_since = self._loop.time()
        self._received = 0
        self._arm(self._limits.write_s, "an answer that is not read")

    def abort(self) -> None:
        """Close the connection without sending what is buffered."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request, which aiohttp applies too: closing an idle client."""
        super().connection_made(transport)
        self._arm(self._limits.write_s, "no complete request in time")

    def data_received(self, data: bytes) -> None:
        """Pass on the bytes of a request, up to the limit."""
        self._received += len(data)
        if self._received > self._limits.request_bytes:
            self._exceed("a request with too many bytes")
            return
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Report the end of the connection."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        self._gone(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be read, or whose handler failed. Only the latter is logged."""
        if status < 500:
            answer: web.StreamResponse = web.Response(
                status=status, text="this is not a request that this port can read\n"
            )
            answer.force_close()
        else:
            answer = super().handle_error(request, status, exc, message)
        answer.headers["Server"] = "hookferry"
        return answer

    def _arm(self, delay_s: float, limit: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, self._exceed, limit)

    def _exceed(self, limit: str) -> None:
        self._closed_for(limit)
        self.abort()
