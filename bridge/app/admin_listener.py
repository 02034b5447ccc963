"""Accept the connections of the admin port, never more than a small part of the process's descriptors.

Invariant: whatever clients do, deliveries, journal and history keep their descriptors, and a new client is
accepted: the connection that has waited longest without a complete request makes room for it.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable

import structlog
from aiohttp import web

from bridge.app.admin_connection import AdminConnection, AdminLimits
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_MOST_CONNECTIONS = 64
_SHARE_OF_DESCRIPTORS = 8
_BACKLOG = 16
_HANDSHAKE_S = 5.0
_PAUSE_S = 1.0
"""Before the next try after no connection could be accepted: the cause is usually missing descriptors."""


def limits_of_process() -> AdminLimits:
    """Return the limits under the process's limit of descriptors: at most an eighth of them, at least 4."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return AdminLimits(_MOST_CONNECTIONS)
    return AdminLimits(max(4, min(_MOST_CONNECTIONS, descriptors // _SHARE_OF_DESCRIPTORS)))


class AdminListener:
    """Listens on all addresses of a host, and owns the connections."""

    def __init__(
        self, server: web.Server, limits: AdminLimits, tls: Callable[[], ssl.SSLContext] | None
    ) -> None:
        """``tls`` is called for every connection, so that a changed certificate is used at once."""
        self._server = server
        self._limits = limits
        self._tls = tls
        self._throttle = Throttle()
        self._sockets: list[socket.socket] = []
        self._connections: dict[AdminConnection, asyncio.Task[None]] = {}
        self._acceptors: list[asyncio.Task[None]] = []

    async def listen(self, host: str, port: int) -> None:
        """Start to listen. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((row[0], row[4]) for row in rows):
                listener = socket.create_server(address, family=family, backlog=_BACKLOG)
                listener.setblocking(False)
                self._sockets.append(listener)
        except OSError:
            self._close_sockets()
            raise
        self._acceptors = [
            loop.create_task(self._accept(listener), name="admin port") for listener in self._sockets
        ]

    async def close(self) -> None:
        """Stop to listen, and close the connections that handle no request."""
        for task in self._acceptors:
            task.cancel()
        await asyncio.gather(*self._acceptors, return_exceptions=True)
        self._close_sockets()
        for connection in [connection for connection in self._connections if not connection.busy]:
            self._evict(connection)

    def _close_sockets(self) -> None:
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()

    async def _accept(self, listener: socket.socket) -> None:
        """Accept connections until cancelled. A failure to accept must not keep the event loop busy."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except ConnectionAbortedError:
                continue  # by the client, before it was accepted
            except OSError as exc:
                self._report(f"no connection can be accepted: {exc.strerror}")
                await asyncio.sleep(_PAUSE_S)
                continue
            if self._make_room():
                self._open(accepted)
            else:
                accepted.close()
            await asyncio.sleep(0)  # sock_accept does not yield while clients wait

    def _make_room(self) -> bool:
        """Return True if a connection may be opened: there is room, or the oldest that is idle gives way."""
        if len(self._connections) < self._limits.connections:
            return True
        self._report("too many connections")
        idle = [connection for connection in self._connections if not connection.busy]
        if idle:
            self._evict(min(idle, key=lambda connection: connection.idle_since))
        return bool(idle)

    def _open(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection = AdminConnection(self._server, loop, self._limits, self._forget, self._report)
        task = loop.create_task(self._start(connection, accepted), name="admin connection")
        self._connections[connection] = task

    async def _start(self, connection: AdminConnection, accepted: socket.socket) -> None:
        """Attach the connection to its socket, after the handshake if the port has TLS.

        The event loop closes the socket if this fails or is cancelled.
        """
        context = None if self._tls is None else self._tls()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=None if context is None else _HANDSHAKE_S,
            )
        except (OSError, ssl.CertificateError, RuntimeError):
            pass  # the client failed the handshake, or has left
        finally:
            if connection.transport is None:
                self._forget(connection)

    def _forget(self, connection: AdminConnection) -> None:
        self._connections.pop(connection, None)

    def _evict(self, connection: AdminConnection) -> None:
        task = self._connections.pop(connection)
        task.cancel()  # ends a handshake
        connection.abort()

    def _report(self, reason: str) -> None:
        """Log a limit that was reached, at most once per minute and limit."""
        if self._throttle.allows(reason):
            _log.warning(
                events.ADMIN_LIMITED,
                reason=reason,
                connections=len(self._connections),
                limit=self._limits.connections,
            )
