"""One HTTP/1.1 connection: send a request, parse its answer, then be free again or closed.

Written for the hot path: one write and one future per request, and a timer that is restarted only when
necessary. llhttp (through httptools) parses the answer; this module enforces the limits. An answer whose head
the parser has accepted before, byte by byte the same, is not parsed again (``known_heads.py``).
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol, cast

import httptools

from bridge.errors import TransportError, TransportFault
from bridge.http.known_heads import KnownHeads
from bridge.model import Response

_BUFFERED_BYTES = 65536
"""A socket's buffer of more than this holds TLS back (the default of asyncio and uvloop)."""


class Limits(NamedTuple):
    """The largest answer a connection accepts, and how long it stays idle."""

    max_body_bytes: int
    max_header_bytes: int
    idle_s: float


class Owner(Protocol):
    """The pool, as a connection calls it."""

    def freed(self, connection: Connection) -> None:
        """Called when the answer is complete and the connection can send another request."""

    def leaves(self, connection: Connection) -> None:
        """Called when a request is to be written: call ``write`` before the next turn of the loop ends."""

    def retired(self, connection: Connection) -> None:
        """Called once, when the connection accepts no more requests."""

    def gone(self, connection: Connection) -> None:
        """Called last, when the socket is closed."""


class Connection(asyncio.Protocol):
    """A socket that is free, busy with one request, or retired.

    ``retired`` is final: the socket is aborted immediately, because the rest of a request or an answer
    would otherwise become part of the next one. One timer serves as the request's deadline while busy
    and as the idle timeout while free. It is not restarted for every request: when it fires early, it
    checks the deadline and is set again.
    """

    __slots__ = (
        "_answered",
        "_body",
        "_body_bytes",
        "_complete",
        "_expects_body",
        "_fault",
        "_future",
        "_headers",
        "_heads",
        "_idle_s",
        "_is_tls",
        "_keep",
        "_limits",
        "_owner",
        "_parser",
        "_received_bytes",
        "_status",
        "_timer",
        "_timer_at",
        "_transport",
        "_unsent",
        "deadline_at",
        "loop",
        "origin",
        "retired",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, origin: str, limits: Limits, heads: KnownHeads
    ) -> None:
        """``heads``: of answers to connections with the same limits."""
        self.origin = origin  # for messages: scheme, host and port
        self.retired = False
        self.loop = loop
        self._limits = limits
        self._idle_s = limits.idle_s
        self._heads = heads
        self._owner: Owner | None = None
        self._transport: asyncio.Transport | None = None
        self._is_tls = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._future: asyncio.Future[Response] | None = None
        self._unsent = b""
        """The request in flight until it is written."""
        self.deadline_at = loop.time() + self._idle_s
        """When the request in flight fails, or a free connection is no longer used: many receivers close one
        after 5 s."""
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

    # Called by the pool.

    def join(self, owner: Owner) -> None:
        """Register the owner. Raises ``TransportError`` if the peer has closed the connection already."""
        if self.retired:
            raise TransportError(TransportFault.READ, f"{self.origin} closed the connection immediately")
        self._owner = owner
        self._arm(self.loop.time() + self._idle_s)

    def start(self, data: bytes, deadline_at: float, expects_body: bool) -> asyncio.Future[Response]:
        """Have a request written. The future gets its answer or a ``TransportError`` by the deadline."""
        owner = self._owner
        assert self._future is None  # the pool hands out free connections only
        assert owner is not None
        future = self._future = self.loop.create_future()
        self.deadline_at = deadline_at
        self._expects_body = expects_body
        if deadline_at < self._timer_at:
            self._arm(deadline_at)
        self._unsent = data
        owner.leaves(self)
        return future

    def write(self) -> None:
        """Write the request that ``start`` took, unless it has ended meanwhile."""
        data, self._unsent = self._unsent, b""
        if self.retired or self._transport is None:
            return
        try:
            if self._is_tls and len(data) > _BUFFERED_BYTES:
                # The buffer of TLS is that of what is not encrypted. It holds the last byte back while the
                # socket's own buffer is too full, so that it is not empty then.
                self._transport.write(memoryview(data)[:-1])  # not copied
                data = data[-1:]
            self._transport.write(data)
        except RuntimeError as exc:  # uvloop 0.23: the socket was reset, connection_lost comes later
            self.fail(TransportFault.READ, f"{self.origin} closed the connection ({exc})")

    def abandon(self, future: asyncio.Future[Response]) -> None:
        """Retire because the caller of ``start`` was cancelled: its answer would have no reader."""
        if future is self._future:
            self._future = None
            self.retire()
        elif future.done() and not future.cancelled():
            future.exception()  # it ended at the same moment; mark its exception as retrieved

    def retire(self) -> None:
        """Accept no more requests; close the socket without sending buffered data."""
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

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport; TLS, if configured, is established."""
        self._transport = cast("asyncio.Transport", transport)
        self._is_tls = transport.get_extra_info("sslcontext") is not None

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer; bytes without a request retire the connection."""
        future, known = self._future, None
        if future is None or future.done():
            self.retire()
            return
        if self._unsent:
            self.fail(TransportFault.READ, f"{self.origin} sent bytes before the request")
            return
        heads = self._heads
        if self._expects_body and not self._received_bytes and not heads.pause:
            if (known := heads.answers.get(data)) is not None:
                heads.hits += 1
            else:
                known = heads.find(data)
        if known is None:
            self._parse(data)
        else:
            self._answer(future, known, keep=True)

    def _parse(self, data: bytes) -> None:
        """Feed a part of the answer to the parser, and pass the answer on when it is complete."""
        assert self._parser is not None, "the connection is not lost"
        is_first = not self._received_bytes
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._keep = False
            if not self._complete:  # else: surplus bytes after a complete answer, which is valid
                detail = self._fault or f"did not answer in HTTP ({exc})"
                self.fail(TransportFault.PROTOCOL, f"{self.origin} {detail}")
                return
        if self._complete:
            self._keep = self._keep and self._body_bytes <= self._limits.max_body_bytes
            if is_first and self._keep:
                self._heads.remember(data, self._status, self._answered, self._body_bytes)
            self._finish()
        elif self._body_bytes > self._limits.max_body_bytes or self._is_flooded():
            self._keep = False
            if self._status:
                self._finish()
            else:
                self.fail(TransportFault.PROTOCOL, f"{self.origin} sent too many header bytes")

    def eof_received(self) -> None:
        """Handle the end of the peer's data: it completes an answer without a length and truncates others."""
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the closed socket, whichever side closed it."""
        self._ended(exc)
        self._parser = None  # it references this object's methods: a cycle
        if self._owner is not None:
            self._owner.gone(self)

    # Called by the parser, within data_received.

    def on_message_begin(self) -> None:
        """Handle the first byte of an answer. After a complete one it answers no request."""
        if self._complete:
            self._keep = False
            raise ValueError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, or a trailer, which goes to a list that is no longer read."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check and store status and headers."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if self._received_bytes > self._limits.max_header_bytes:  # may include body bytes: count exactly
            header_bytes = sum(len(name) + len(value) + 4 for name, value in self._headers)
            if header_bytes > self._limits.max_header_bytes:
                self._fault = "sent too many header bytes"
                raise ValueError(self._fault)
        if status < 100 or status == 101:
            self._fault = f"answered with status {status:03}, which was not requested"
            raise ValueError(self._fault)
        if status >= 200:
            self._status = status
            self._answered = tuple(self._headers)
            if not self._expects_body:  # HEAD: llhttp would wait for the body that the headers announce
                self._complete = True

    def on_body(self, chunk: bytes) -> None:
        """Store a part of the body, up to the limit."""
        room = self._limits.max_body_bytes - self._body_bytes
        self._body_bytes += len(chunk)
        if room > 0:
            self._body.append(chunk if len(chunk) <= room else chunk[:room])

    def on_message_complete(self) -> None:
        """Handle the end of an answer, or of an interim one (RFC 9110 15.2), which the real one follows."""
        assert self._parser is not None
        if not self._status:
            self._headers.clear()
        elif self._expects_body:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # the parser resets this after the callback

    # Internal.

    def _finish(self) -> None:
        """Pass the answer that was parsed to the caller."""
        future = self._future
        assert future is not None
        response = Response(self._status, self._answered, b"".join(self._body))
        keep = self._keep and not self.retired
        self._forget_answer()
        self._answer(future, response, keep=keep)

    def _answer(self, future: asyncio.Future[Response], response: Response, *, keep: bool) -> None:
        """Pass an answer to the caller; free the connection if both sides can use it again."""
        owner, transport = self._owner, self._transport
        assert owner is not None, "only a connection with an owner sends requests"
        assert transport is not None, "only an open one does"
        self._future = None
        # After an early answer the rest of the request is still buffered: the connection is not reusable.
        if keep and not transport.get_write_buffer_size():
            self.deadline_at = self.loop.time() + self._idle_s
            owner.freed(self)
        else:
            self.retire()
        future.set_result(response)

    def _is_flooded(self) -> bool:
        """Return True if more came than an answer within the limits needs (6 for 1 in 1-byte chunks)."""
        limit = self._limits.max_header_bytes
        if self._status:
            limit += 8 * self._limits.max_body_bytes
        return self._received_bytes > limit

    def _ended(self, exc: Exception | None) -> None:
        if self._future is None or self._future.done():
            self.retire()
        elif not self._status:
            reason = f" ({exc})" if exc else ""
            self.fail(TransportFault.READ, f"{self.origin} closed the connection without an answer{reason}")
        elif exc is None and _ends_with_connection(self._answered):
            self._keep = False
            self._finish()
        else:
            self.fail(TransportFault.READ, f"{self.origin} closed the connection in the middle of its answer")

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._timer_fired)

    def _timer_fired(self) -> None:
        now = self.loop.time()
        if now < self.deadline_at:
            # At most idle_s ahead, or a connection freed earlier would stay idle for too long.
            self._arm(min(self.deadline_at, now + self._idle_s))
        elif self._future is None:
            self.retire()
        else:
            self.fail(TransportFault.TIMEOUT, f"{self.origin} did not answer in time")


def _ends_with_connection(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Return True if only the end of the connection ends this answer (RFC 9112 6.3, the last rule)."""
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings:
        return not codings[-1].rstrip().endswith(b"chunked")
    return all(name != b"content-length" for name, _ in headers)
