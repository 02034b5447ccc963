"""A forward proxy: how requests for it are written, and how a tunnel through it is opened (RFC 9110 9.3.6).

Invariant: no byte that the proxy sends before the tunnel is open becomes part of a receiver's answer, and
nothing of the proxy's answer but its status is shown, because error pages may repeat the credentials.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NamedTuple, cast

from bridge.errors import TransportError, TransportFault
from bridge.http.tls import ClientTls
from bridge.model import Url

MAX_ANSWER_BYTES = 16_384
"""The head of an answer to CONNECT, with all interim answers before it."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_BEGINNING = b"HTTP/1."


class Proxy(NamedTuple):
    """Where a proxy is, and how to log in. Only ``url.origin`` may be shown."""

    url: Url
    authorization: bytes | None = None
    tls: ssl.SSLContext | ClientTls | None = None
    """Used for an https proxy itself: never the receiver's context, which may have a client certificate."""

    @property
    def login(self) -> bytes:
        """The header line with the credentials; empty without credentials."""
        return b"" if self.authorization is None else b"proxy-authorization: %b\r\n" % self.authorization


class Tunnel(asyncio.Protocol):
    """Sends CONNECT over a new connection to a proxy, and waits until the proxy has opened the tunnel."""

    def __init__(self, loop: asyncio.AbstractEventLoop, proxy: Proxy, url: Url) -> None:
        target = url.origin.partition("://")[2].encode("ascii")
        self._request = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (target, target, proxy.login)
        self._name = f"the proxy {proxy.url.origin}"
        self._future: asyncio.Future[None] = loop.create_future()
        self._received = b""
        self._received_bytes = 0  # with the interim answers, which are not kept
        self.transport: asyncio.Transport | None = None

    async def opened(self) -> asyncio.Transport:
        """Return the transport of the open tunnel. Raises ``TransportError``; the caller bounds the wait."""
        await self._future
        assert self.transport is not None
        if self._received:  # in TLS the client speaks first
            raise self._failure(TransportFault.TLS, "passed on data before the TLS handshake")
        return self.transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the answer; what follows it stays in ``_received``."""
        self._received += data
        self._received_bytes += len(data)
        if self._future.done():
            return
        if self._received_bytes > MAX_ANSWER_BYTES:
            self._fail(self._failure(TransportFault.PROTOCOL, "sent too many header bytes"))
            return
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[: end + 4], self._received[end + 4 :]
            match = _STATUS_LINE.match(head)
            status = int(match[1]) if match else 0
            if not 100 <= status < 200 or status == 101:
                self._answered(status)
                return
        if not _BEGINNING.startswith(self._received[: len(_BEGINNING)]):
            self._answered(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail if the proxy closed the connection before it answered."""
        reason = f" ({exc})" if exc else ""
        self._fail(
            self._failure(TransportFault.CONNECT, f"closed the connection without opening a tunnel{reason}")
        )

    def _answered(self, status: int) -> None:
        if 200 <= status < 300:
            self._future.set_result(None)
        elif not status:
            self._fail(self._failure(TransportFault.PROTOCOL, "did not answer in HTTP"))
        else:
            self._fail(refused(self._name, status))

    def _fail(self, failure: TransportError) -> None:
        if not self._future.done():
            self._future.set_exception(failure)
            self._future.exception()  # mark it as retrieved: the caller may have been cancelled

    def _failure(self, fault: TransportFault, what: str) -> TransportError:
        return TransportError(fault, f"{self._name} {what}")


def refused(name: str, status: int) -> TransportError:
    """Return the error for a proxy that does not forward: its status, and the remedy."""
    remedy = "check that it allows this receiver, and its log"
    if status == 407:
        remedy = "check the user and password in the endpoint's proxy setting"
    what = f"answered {status} instead of connecting to the receiver"
    return TransportError(TransportFault.CONNECT, f"{name} {what}; {remedy}")
