"""The transport: a bounded pool of our own HTTP/1.1 keep-alive connections, direct or through a proxy.

A client library costs five to ten times as much per request (measured: ``tests/bench/transport.py``).
A request that finds a free connection needs no task, no lock and no timer of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from bridge.errors import TransportError, TransportFault
from bridge.http.connection import Connection, Limits
from bridge.http.dial import Dialer
from bridge.http.egress_policy import EgressPolicy
from bridge.http.head import Head
from bridge.http.known_heads import KnownHeads
from bridge.http.proxy import Proxy, refused
from bridge.http.tls import ClientTls
from bridge.model import Request, Response, Url

_MAX_ROUTES = 4096  # an endpoint usually has one URL; this bounds URLs that change with the event
_FEW = 16
"""With more open connections, no request leaves before the others of its turn of the loop."""


class _Origin:
    """The free connections to one scheme, host and port; the one freed last is used first.

    ``forwarder``: the proxy that gets the requests themselves, because the scheme is http. It resolves the
    name for each of them, so each is checked. None for a direct connection and for a tunnel.
    """

    __slots__ = ("forwarder", "free", "label", "url")

    def __init__(self, url: Url, proxy: Proxy | None) -> None:
        self.url = url
        self.forwarder = proxy if url.scheme == "http" else None
        self.label = url.origin if proxy is None else f"{url.origin} (through the proxy {proxy.url.origin})"
        self.free: list[Connection] = []


class _Route:
    """The constant parts of requests with one method and URL."""

    __slots__ = ("expects_body", "head", "method", "origin", "url")

    def __init__(self, method: str, url: Url, head: Head, origin: _Origin) -> None:
        self.method = method
        self.url = url
        self.head = head
        self.origin = origin
        self.expects_body = method != "HEAD"


class _Waiter:
    """A request that waits for a connection, or for permission to open one (``None``)."""

    __slots__ = ("future", "origin")

    def __init__(self, origin: _Origin, future: asyncio.Future[Connection | None]) -> None:
        self.origin = origin
        self.future = future


class LeanTransport:
    """Sends requests over at most ``max_connections`` connections, to any number of origins.

    A connection counts from the start of its dial until it is retired. It is in exactly one state:
    dialing, busy, or free in the list of its origin. A request that finds none waits, first come, first
    served. Use one instance in one event loop.
    """

    def __init__(
        self,
        egress: EgressPolicy,
        max_connections: int,
        tls: ssl.SSLContext | ClientTls | None = None,
        connect_timeout_s: float = 5.0,
        idle_s: float = 4.0,
        max_body_bytes: int = 65536,
        max_header_bytes: int = 65536,
        may_write: Callable[[], bool] = lambda: True,
        proxy: Proxy | None = None,
        source_address: str | None = None,
    ) -> None:
        """``may_write`` is called again after a wait for a connection, and before requests are written."""
        self._may_write = may_write
        self._proxy = proxy
        self._dialer = Dialer(egress, tls, connect_timeout_s, proxy, source_address)
        self._max = max_connections
        self._limits = Limits(max_body_bytes, max_header_bytes, idle_s)
        self._heads = KnownHeads()
        self._routes: dict[tuple[str, Url], _Route] = {}
        self._latest: _Route | None = None
        """The route of the request before: mostly that of the next one."""
        self._origins: dict[tuple[str, str, int], _Origin] = {}
        self._waiting: deque[_Waiter] = deque()
        self._leaving: list[Connection] = []
        """The connections whose requests are written at the end of this turn of the loop."""
        self._turn_has_requests = False
        self._joined: dict[Connection, _Origin] = {}
        self._open = 0
        self._closed = False
        self._emptied: asyncio.Event = asyncio.Event()
        self._now: Callable[[], float] = _loop_time
        """The time of the loop; from the first dial on without ``get_running_loop``, a system call."""

    async def send(self, request: Request, timeout_s: float) -> Response:
        """Send one request, see ``Transport``. Raises ``TransportError`` and ``CancelledError``."""
        now = self._now()
        deadline_at = now + timeout_s
        method, url, headers, body = request
        try:
            route = self._latest
            if route is None or url is not route.url or method != route.method:
                route = self._latest = self._routes.get((method, url)) or self._add_route(method, url)
            data = route.head.write(headers, body)
        except ValueError as exc:
            raise TransportError(TransportFault.PROTOCOL, f"the request was not sent: {exc}") from exc
        origin = route.origin
        if origin.forwarder is not None:
            await self._check_forwarded(origin, deadline_at)
        free = origin.free
        if free and now < free[-1].deadline_at:
            connection = free.pop()
        else:
            connection = await self._acquire(origin, deadline_at)
            if not self._may_write():
                self._hand_back(connection)
                raise _withheld()
        future = connection.start(data, deadline_at, route.expects_body)
        try:
            response = await future
        except asyncio.CancelledError:
            connection.abandon(future)
            raise
        if origin.forwarder is not None and response.status == 407:  # from the proxy, not the receiver
            raise refused(f"the proxy {origin.forwarder.url.origin}", 407)
        return response

    async def close(self) -> None:
        """Close all connections and wait until their sockets are closed."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.future.done():
                waiter.future.set_result(None)
        self._waiting.clear()
        for connection in list(self._joined):
            connection.fail(TransportFault.READ, f"{connection.origin}: the transport was closed")
        while self._joined:
            self._emptied.clear()
            await self._emptied.wait()

    # Called by a connection (``connection.Owner``).

    def freed(self, connection: Connection) -> None:
        """Give the connection to the first waiter, or keep it for later."""
        origin = self._joined[connection]
        if not self._waiting or (waiter := self._first_waiter()) is None:
            origin.free.append(connection)
        elif waiter.origin is origin:
            self._waiting.popleft()
            waiter.future.set_result(connection)
        else:
            connection.retire()  # the first waiter may then open a new one

    def leaves(self, connection: Connection) -> None:
        """Write the request at the end of this turn of the loop, with all others of the turn.

        A receiver on the same machine would otherwise interrupt the turn after each of them. But requests
        that are answered together also leave together again, and each of them waits for the last. So the
        first one of a turn is written now if others, on a few connections, are in flight.
        """
        if not self._turn_has_requests:
            self._turn_has_requests = True
            connection.loop.call_soon(self._write_all)
            if (connections := len(self._joined)) <= _FEW:
                busy = connections - len(self._joined[connection].free)
                if busy > 1 and self._may_write():
                    connection.write()
                    return
        self._leaving.append(connection)

    def _write_all(self) -> None:
        self._turn_has_requests = False
        leaving, self._leaving = self._leaving, []
        if not leaving or self._may_write():
            for connection in leaving:
                connection.write()
        else:
            for connection in leaving:
                connection.fail(TransportFault.WITHHELD, "this process was suspended before it sent it")

    def retired(self, connection: Connection) -> None:
        """Let the first waiter open a connection in place of this one."""
        free = self._joined[connection].free
        if connection in free:
            free.remove(connection)
        self._give_room_back()

    def gone(self, connection: Connection) -> None:
        """Forget the connection; its socket is closed."""
        del self._joined[connection]
        if not self._joined:
            self._emptied.set()

    # Internal.

    def _add_route(self, method: str, url: Url) -> _Route:
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
            self._latest = None
            self._origins = {key: origin for key, origin in self._origins.items() if origin.free}
        origin = self._origins.setdefault((url.scheme, url.host, url.port), _Origin(url, self._proxy))
        head = Head(method, url, origin.forwarder)
        return self._routes.setdefault((method, url), _Route(method, url, head, origin))

    async def _check_forwarded(self, origin: _Origin, deadline_at: float) -> None:
        """Check the receiver of a request that a proxy forwards: an open connection is not specific to it."""
        try:
            async with asyncio.timeout_at(deadline_at):
                await self._dialer.check_proxied(origin.url)
        except TimeoutError as exc:
            raise TransportError(
                TransportFault.TIMEOUT, f"cannot resolve the name {origin.url.host} in time"
            ) from exc
        if not self._may_write():
            raise _withheld()

    async def _acquire(self, origin: _Origin, deadline_at: float) -> Connection:
        """Return a connection to ``origin``: freed by another request, or new."""
        try:
            async with asyncio.timeout_at(deadline_at):
                while True:
                    if self._closed:
                        raise TransportError(TransportFault.CONNECT, "the transport is closed")
                    connection = await self._next(origin)
                    if not connection.retired:  # else: the peer closed it while this task was waking up
                        return connection
        except TimeoutError as exc:
            usage = f"{self._open} of {self._max} connections in use"
            raise TransportError(
                TransportFault.TIMEOUT, f"no connection to {origin.label} in time ({usage})"
            ) from exc

    async def _next(self, origin: _Origin) -> Connection:
        while origin.free:
            connection = origin.free.pop()
            if self._now() < connection.deadline_at:
                return connection
            connection.retire()
        if self._open >= self._max:
            self._evict()
        if self._open < self._max:
            self._open += 1
            return await self._dial(origin)
        waiter = _Waiter(origin, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            handed = await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                self._hand_back(waiter.future.result())
            raise
        return handed or await self._dial(origin)

    async def _dial(self, origin: _Origin) -> Connection:
        """Open a connection that is already counted in ``_open``."""
        loop = asyncio.get_running_loop()
        self._now = loop.time
        try:
            connection = await self._dialer.dial(
                origin.url, lambda: Connection(loop, origin.label, self._limits, self._heads)
            )
            connection.join(self)
        except BaseException:
            self._give_room_back()
            raise
        self._joined[connection] = origin
        if self._closed:  # meanwhile; close() did not see this connection
            connection.retire()
        return connection

    def _first_waiter(self) -> _Waiter | None:
        while self._waiting:
            if not self._waiting[0].future.done():
                return self._waiting[0]
            self._waiting.popleft()  # cancelled meanwhile
        return None

    def _give_room_back(self) -> None:
        self._open -= 1
        waiter = self._first_waiter()
        if waiter is not None and self._open < self._max:
            self._waiting.popleft()
            self._open += 1
            waiter.future.set_result(None)

    def _hand_back(self, connection: Connection | None) -> None:
        if connection is None:
            self._give_room_back()
        elif not connection.retired:
            self.freed(connection)

    def _evict(self) -> None:
        """Retire the least recently used free connection of another origin."""
        for connection, origin in self._joined.items():
            if origin.free and origin.free[0] is connection:
                connection.retire()
                return


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _withheld() -> TransportError:
    return TransportError(
        TransportFault.WITHHELD, "this process was suspended while it waited for a connection"
    )
