"""Adapt any ``httpx.AsyncBaseTransport`` to ``Transport``: for proxies, HTTP/2 and other features of httpx.

The address policy does not apply here: the proxy resolves the name and opens the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import lru_cache

import httpx

from bridge import __version__
from bridge.errors import TransportError, TransportFault
from bridge.http.head import check_headers, check_method
from bridge.model import Request, Response, Url

_USER_AGENT = (b"user-agent", f"hookferry/{__version__}".encode())
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})  # RFC 9110 8.6: also when there is no body
# Messages of httpcore and h11 for a connection that ends before the answer does. httpx raises a
# RemoteProtocolError as for garbage, but the cause is more often the network than the receiver.
_CUT_SHORT = ("Server disconnected", "peer closed connection")


class HttpxTransport:
    """Sends requests through an httpx transport, without ``httpx.Client`` and its 300 µs.

    In httpx the client handles redirects, cookies, content codings and the proxy variables of the
    environment, so none of these happen here.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, max_body_bytes: int = 65536, connect_timeout_s: float = 5.0
    ) -> None:
        self._inner = inner
        self._max_body_bytes = max_body_bytes
        self._connect_timeout_s = connect_timeout_s
        self._closed = False

    async def send(self, request: Request, timeout_s: float) -> Response:
        """Send one request, see ``Transport``. Raises ``TransportError`` and ``CancelledError``."""
        origin = request.url.origin
        if self._closed:
            raise TransportError(TransportFault.CONNECT, "the transport is closed")
        try:
            outgoing = self._outgoing(request, timeout_s)
        except (ValueError, httpx.InvalidURL) as exc:
            raise TransportError(TransportFault.PROTOCOL, f"the request was not sent: {exc}") from exc
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._inner.handle_async_request(outgoing)
                return await self._read(answer, origin)
        except TimeoutError as exc:
            raise TransportError(TransportFault.TIMEOUT, f"{origin} did not answer in time") from exc
        except (httpx.HTTPError, httpx.StreamError, OSError, RuntimeError) as exc:
            # RuntimeError: raised by anyio when the transport is closed during a request.
            raise _failure(exc, origin) from exc

    async def close(self) -> None:
        """Close the inner transport and its connections."""
        if not self._closed:
            self._closed = True
            await self._inner.aclose()

    def _outgoing(self, request: Request, timeout_s: float) -> httpx.Request:
        check_method(request.method)
        check_headers(request.headers)
        headers = [(b"host", request.url.authority.encode("ascii")), *request.headers]
        if all(name.lower() != b"user-agent" for name, _ in request.headers):
            headers.append(_USER_AGENT)
        if request.body or request.method in _WITH_LENGTH:
            headers.append((b"content-length", b"%d" % len(request.body)))
        timeouts = {
            "connect": self._connect_timeout_s,
            "read": timeout_s,
            "write": timeout_s,
            "pool": timeout_s,
        }
        return httpx.Request(
            request.method,
            _httpx_url(request.url),
            headers=headers,
            stream=httpx.ByteStream(request.body),
            extensions={"timeout": timeouts},
        )

    async def _read(self, answer: httpx.Response, origin: str) -> Response:
        """Return the answer with its body up to the limit; close the connection of a longer body."""
        body = bytearray()
        try:
            if answer.status_code == 101:
                detail = f"{origin} answered with status 101, which was not requested"
                raise TransportError(TransportFault.PROTOCOL, detail)
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async for chunk in answer.stream:
                body += chunk
                if len(body) > self._max_body_bytes:
                    break
        finally:
            await answer.aclose()
        headers = tuple((name.lower(), value) for name, value in answer.headers.raw)
        return Response(answer.status_code, headers, bytes(body[: self._max_body_bytes]))


def build_proxied_transport(
    proxy_url: str, max_connections: int, tls: ssl.SSLContext | None = None
) -> HttpxTransport:
    """Return a transport that sends every request through a proxy (``http://[user:password@]host:port``)."""
    inner = httpx.AsyncHTTPTransport(
        proxy=proxy_url,
        verify=tls or ssl.create_default_context(),
        trust_env=False,
        limits=httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=4.0,  # less than a receiver's usual 5 s
        ),
    )
    return HttpxTransport(inner)


@lru_cache(maxsize=1024)
def _httpx_url(url: Url) -> httpx.URL:
    return httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.target.encode("ascii"))


def _failure(exc: Exception, origin: str) -> TransportError:
    """Convert an exception of httpx. Its text may show paths, so most faults get our own text."""
    fault, what = TransportFault.READ, "broke the connection"
    if isinstance(exc, httpx.ConnectTimeout):
        fault, what = TransportFault.CONNECT, "did not accept the connection in time"
    elif isinstance(exc, httpx.TimeoutException):
        fault, what = TransportFault.TIMEOUT, "did not answer in time"
    elif isinstance(exc, httpx.ConnectError) and _is_tls(exc):
        fault, what = TransportFault.TLS, f"failed the TLS handshake: {exc}"
    elif isinstance(exc, httpx.ConnectError):
        fault, what = TransportFault.CONNECT, f"cannot be reached: {exc}"
    elif isinstance(exc, httpx.ProxyError):
        fault, what = TransportFault.CONNECT, f"cannot be reached through the proxy: {exc}"
    elif isinstance(exc, httpx.RemoteProtocolError) and str(exc).startswith(_CUT_SHORT):
        what = "closed the connection before the end of its answer"
    elif isinstance(exc, httpx.ProtocolError | httpx.UnsupportedProtocol | httpx.DecodingError):
        fault, what = TransportFault.PROTOCOL, f"violated the HTTP protocol: {exc}"
    return TransportError(fault, f"{origin} {what}")


def _is_tls(exc: BaseException | None) -> bool:
    """Return True if an ``ssl.SSLError`` is among the causes: httpx has no error of its own for TLS."""
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
