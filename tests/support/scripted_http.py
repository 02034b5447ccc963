"""An HTTP server on loopback that misbehaves on purpose: a script answers each request.

The script gets the request and the raw connection. It writes bytes, stalls, resets or closes,
as the test requires.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as received, and the number of its connection, counted from 1."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int
    raw_head: bytes


class Peer:
    """The server side of one connection, for scripts."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: str = "200 OK", body: bytes = b"ok", headers: str = "") -> None:
        await self.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed_by_client(self) -> bool:
        """Wait until the client closes the connection; always return True."""
        try:
            while await self.reader.read(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        return True


Script = Callable[[Peer, Received], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Runs ``script`` for every request and stores the requests. ``on_connect`` runs before the first."""

    script: Script
    on_connect: Callable[[Peer], Awaitable[None]] | None = None
    read_body: bool = True
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    peers: list[Peer] = field(default_factory=list)
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        peer = Peer(reader, writer, self.connections)
        self.peers.append(peer)
        try:
            if self.on_connect is not None:
                await self.on_connect(peer)
            while not writer.is_closing():
                received = await self._read(peer)
                self.received.append(received)
                await self.script(peer, received)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client disconnected, or the test ended
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _read(self, peer: Peer) -> Received:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        line, *rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers: dict[str, str] = {}
        for row in rows:
            name, _, value = row.partition(":")
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value.strip()
        body = b""
        if self.read_body:
            body = await peer.reader.readexactly(int(headers.get("content-length", "0")))
        return Received(line, headers, body, peer.number, head)
