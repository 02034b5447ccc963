"""One HTTP/1.1 connection: one request in flight, one answer parsed, then free again or closed.

HTTP edge. Takes ready bytes and a deadline, gives a future of the ``Response``. Written for the hot
path: one write and one future per request, and a timer that is armed again only when it must.
llhttp (through httptools) reads the answer; what it cannot know, such as limits, stands here.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol, cast

import httptools

from bridge.errors import TransportError, TransportFault
from bridge.model import Response


class Limits(NamedTuple):
    """What a connection gives an answer and its own idleness at most."""

    max_body_bytes: int
    max_header_bytes: int
    idle_s: float


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def freed(self, connection: Connection) -> None:
        """The answer is complete, and the connection can carry another request."""

    def retired(self, connection: Connection) -> None:
        """The connection carries no more requests; called once."""

    def gone(self, connection: Connection) -> None:
        """The socket is closed; the last call."""


class Connection(asyncio.Protocol):
    """A socket that is either free, busy with one request, or retired; never anything between.

    ``retired`` is for good: the socket is aborted at once, since a request that was not written or
    an answer that was not read to its end would be taken for the next one's. The one timer stands
    for the deadline of the request while busy and for the end of idleness while free. It is not
    moved for every request: when it goes off early it looks at the deadline and is set anew.
    """

    __slots__ = (
        "_answered",
        "_body",
        "_body_bytes",
        "_complete",
        "_deadline_at",
        "_expects_body",
        "_fault",
        "_future",
        "_headers",
        "_keep",
        "_limits",
        "_loop",
        "_owner",
        "_parser",
        "_received_bytes",
        "_status",
        "_timer",
        "_timer_at",
        "_transport",
        "origin",
        "retired",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: str, limits: Limits) -> None:
        self.origin = origin  # for messages: scheme, host and port
        self.retired = False
        self._loop = loop
        self._limits = limits
        self._owner: Owner | None = None
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._future: asyncio.Future[Response] | None = None
        self._deadline_at = loop.time() + limits.idle_s
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._forget_answer()

    def _forget_answer(self) -> None:
        self._status = 0  # until the headers of the real answer are complete
        self._answered: tuple[tuple[bytes, bytes], ...] = ()
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._received_bytes = 0
        self._complete = False
        self._keep = False
        self._expects_body = True
        self._fault = ""

    # What the pool calls.

    def join(self, owner: Owner) -> None:
        """Belong to ``owner`` from now on. Raises ``TransportError`` when already closed by the peer."""
        if self.retired:
            raise TransportError(TransportFault.READ, f"{self.origin} closed the connection at once")
        self._owner = owner
        self._arm(self._loop.time() + self._limits.idle_s)

    def start(self, data: bytes, deadline_at: float, expects_body: bool) -> asyncio.Future[Response]:
        """Write a request; the future ends with its answer or a ``TransportError``, by the deadline."""
        assert self._future is None  # the pool hands out free connections only
        assert self._transport is not None
        future = self._future = self._loop.create_future()
        self._deadline_at = deadline_at
        self._expects_body = expects_body
        self._received_bytes = 0
        if deadline_at < self._timer_at:
            self._arm(deadline_at)
        try:
            self._transport.write(data)
        except RuntimeError as exc:  # uvloop 0.23: the socket was reset, and we are not told yet
            self.fail(TransportFault.READ, f"{self.origin} closed the connection ({exc})")
        return future

    def abandon(self, future: asyncio.Future[Response]) -> None:
        """The caller of ``start`` was cancelled: nobody waits for this answer, so it cannot be read."""
        if future is self._future:
            self._future = None
            self.retire()
        elif future.done() and not future.cancelled():
            future.exception()  # it ended in the same moment; mark a fault as seen

    def is_fresh(self, now: float) -> bool:
        """Whether a free connection may still be used: many receivers close one after 5 s."""
        return now < self._deadline_at

    def retire(self) -> None:
        """Carry no more requests: close the socket without sending what is still buffered."""
        if self.retired:
            return
        self.retired = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._owner is not None:
            self._owner.retired(self)

    def fail(self, fault: TransportFault, detail: str) -> None:
        """End the request in flight, if any, with a fault, and retire."""
        future, self._future = self._future, None
        self.retire()
        if future is not None and not future.done():
            future.set_exception(TransportError(fault, detail))

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket, with TLS where asked for, is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Some of the answer; bytes that nobody asked for end the connection."""
        future = self._future
        if future is None or future.done() or self._parser is None:
            self.retire()
            return
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._keep = False
            if not self._complete:  # else: surplus bytes after a whole answer, which counts
                why = self._fault or f"did not answer in HTTP ({exc})"
                self.fail(TransportFault.PROTOCOL, f"{self.origin} {why}")
                return
        if self._complete:
            self._finish()
        elif self._body_bytes > self._limits.max_body_bytes or self._is_flooded():
            self._keep = False
            if self._status:
                self._finish()
            else:
                self.fail(TransportFault.PROTOCOL, f"{self.origin} sent too many header bytes")

    def eof_received(self) -> None:
        """The peer will send no more: an answer without a length is complete, others are cut short."""
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        self._ended(exc)
        self._parser = None  # it holds this object's methods: a cycle
        if self._owner is not None:
            self._owner.gone(self)

    # What the parser calls, within data_received.

    def on_message_begin(self) -> None:
        """The first byte of an answer; after a whole one it belongs to nobody."""
        if self._complete:
            self._keep = False
            raise ValueError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which lands in a list that is not read any more."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Status and headers are known."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if self._received_bytes > self._limits.max_header_bytes:  # perhaps by the body: count exactly
            header_bytes = sum(len(name) + len(value) + 4 for name, value in self._headers)
            if header_bytes > self._limits.max_header_bytes:
                self._fault = "sent too many header bytes"
                raise ValueError(self._fault)
        if status < 100 or status == 101:
            self._fault = f"answered with status {status:03}, which was not asked for"
            raise ValueError(self._fault)
        if status >= 200:
            self._status = status
            self._answered = tuple(self._headers)
            if not self._expects_body:  # HEAD: llhttp would wait for the body that its headers announce
                self._complete = True

    def on_body(self, chunk: bytes) -> None:
        """A part of the body; kept up to the limit."""
        room = self._limits.max_body_bytes - self._body_bytes
        self._body_bytes += len(chunk)
        if room > 0:
            self._body.append(chunk if len(chunk) <= room else chunk[:room])

    def on_message_complete(self) -> None:
        """The end of an answer, or of an interim one (RFC 9110 15.2), after which the real one comes."""
        assert self._parser is not None
        if not self._status:
            self._headers.clear()
        elif self._expects_body:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # asked later, it has forgotten

    # Within.

    def _finish(self) -> None:
        """Hand the answer over, and free the connection if both sides are through with each other."""
        future = self._future
        assert future is not None
        assert self._transport is not None
        response = Response(self._status, self._answered, b"".join(self._body))
        # An answer that came before the request was written leaves a rest nobody waits for.
        keep = self._keep and self._body_bytes <= self._limits.max_body_bytes and not self.retired
        self._future = None
        if keep and self._transport.get_write_buffer_size() == 0 and self._owner is not None:
            self._forget_answer()
            self._deadline_at = self._loop.time() + self._limits.idle_s
            self._owner.freed(self)
        else:
            self.retire()
        future.set_result(response)

    def _is_flooded(self) -> bool:
        """Whether more has come than any answer within the limits needs (chunks of one byte: 6 for 1)."""
        limit = self._limits.max_header_bytes
        if self._status:
            limit += 8 * self._limits.max_body_bytes
        return self._received_bytes > limit

    def _ended(self, exc: Exception | None) -> None:
        if self._future is None or self._future.done():
            self.retire()
        elif not self._status:
            why = f" ({exc})" if exc else ""
            self.fail(TransportFault.READ, f"{self.origin} closed the connection without an answer{why}")
        elif exc is None and _ends_with_connection(self._answered):
            self._keep = False
            self._finish()
        else:
            self.fail(TransportFault.READ, f"{self.origin} closed the connection in the middle of its answer")

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._timer_fired)

    def _timer_fired(self) -> None:
        now = self._loop.time()
        if now < self._deadline_at:
            # Never further than idle_s away, or a freed connection would outstay its idleness.
            self._arm(min(self._deadline_at, now + self._limits.idle_s))
        elif self._future is None:
            self.retire()
        else:
            self.fail(TransportFault.TIMEOUT, f"{self.origin} did not answer in time")


def _ends_with_connection(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Whether only the end of the connection ends this answer (RFC 9112 6.3, the last rule)."""
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings:
        return not codings[-1].rstrip().endswith(b"chunked")
    return all(name != b"content-length" for name, _ in headers)
