"""Any ``httpx.AsyncBaseTransport`` as a ``Transport``: for proxies, HTTP/2 and what httpx has besides.

HTTP edge, the only file of it that knows httpx. Takes a ``Request``, gives a ``Response``. The
address policy does not hold here: through a proxy it is the proxy that resolves and dials.
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
# How httpcore and h11 word an end of the connection before the end of the answer; to httpx it is a
# RemoteProtocolError like garbage is, but it is the network's doing more often than the receiver's.
_CUT_SHORT = ("Server disconnected", "peer closed connection")


class HttpxTransport:
    """Sends requests through an httpx transport, without ``httpx.Client`` and its 300 µs.

    Redirects, cookies, content codings and the proxy variables of the environment are the client's
    business in httpx, so they do not happen here.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, max_body_bytes: int = 65536, connect_timeout_s: float = 5.0
    ) -> None:
        self._inner = inner
        self._max_body_bytes = max_body_bytes
        self._connect_timeout_s = connect_timeout_s
        self._closed = False

    async def send(self, request: Request, timeout_s: float) -> Response:
        """One attempt, see ``Transport``. Raises ``TransportError`` and ``CancelledError``."""
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
            # RuntimeError: what anyio raises when the transport is closed under a request.
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
        """The answer with its body up to the limit; a body that goes on is left, with its connection."""
        kept = bytearray()
        try:
            if answer.status_code == 101:
                why = f"{origin} answered with status 101, which was not asked for"
                raise TransportError(TransportFault.PROTOCOL, why)
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async for chunk in answer.stream:
                kept += chunk
                if len(kept) > self._max_body_bytes:
                    break
        finally:
            await answer.aclose()
        headers = tuple((name.lower(), value) for name, value in answer.headers.raw)
        return Response(answer.status_code, headers, bytes(kept[: self._max_body_bytes]))


def proxied(proxy_url: str, max_connections: int, tls: ssl.SSLContext | None = None) -> HttpxTransport:
    """A transport that sends everything through one proxy (``http://[user:password@]host:port``)."""
    inner = httpx.AsyncHTTPTransport(
        proxy=proxy_url,
        verify=tls or ssl.create_default_context(),
        trust_env=False,
        limits=httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=4.0,  # before a receiver's usual 5 s
        ),
    )
    return HttpxTransport(inner)


@lru_cache(maxsize=1024)
def _httpx_url(url: Url) -> httpx.URL:
    return httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.target.encode("ascii"))


def _failure(exc: Exception, origin: str) -> TransportError:
    """The fault behind an exception of httpx; its text may show paths, so only ours is kept."""
    fault, what = TransportFault.READ, "broke the connection"
    if isinstance(exc, httpx.ConnectTimeout):
        fault, what = TransportFault.CONNECT, "was not connected in time"
    elif isinstance(exc, httpx.TimeoutException):
        fault, what = TransportFault.TIMEOUT, "did not answer in time"
    elif isinstance(exc, httpx.ConnectError) and _is_tls(exc):
        fault, what = TransportFault.TLS, f"has no TLS that is trusted: {exc}"
    elif isinstance(exc, httpx.ConnectError):
        fault, what = TransportFault.CONNECT, f"cannot be connected: {exc}"
    elif isinstance(exc, httpx.ProxyError):
        fault, what = TransportFault.CONNECT, f"cannot be connected through the proxy: {exc}"
    elif isinstance(exc, httpx.RemoteProtocolError) and str(exc).startswith(_CUT_SHORT):
        what = "closed the connection before the end of its answer"
    elif isinstance(exc, httpx.ProtocolError | httpx.UnsupportedProtocol | httpx.DecodingError):
        fault, what = TransportFault.PROTOCOL, f"and this side do not agree on HTTP: {exc}"
    return TransportError(fault, f"{origin} {what}")


def _is_tls(exc: BaseException | None) -> bool:
    """Whether an ``ssl.SSLError`` is among the causes: httpx has no error of its own for TLS."""
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
