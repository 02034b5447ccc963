"""A forward proxy on loopback, as a bank has one: it tunnels (CONNECT) and forwards (absolute URLs).

It resolves names by itself, with ``names`` first. It relays answers as they come, and passes on how either
side ends a connection: with FIN or with RST.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.scripted_http import Peer


@dataclass
class ForwardProxy:
    """Runs until the end of ``async with``.

    ``lines`` and ``logins`` are those of the requests that it received, ``clients`` the addresses that
    connections came from.
    """

    names: dict[str, str] = field(default_factory=dict)
    login: str | None = None
    tls: ssl.SSLContext | None = None
    lines: list[str] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _peers: list[Peer] = field(default_factory=list)

    async def __aenter__(self) -> ForwardProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for peer in self._peers:
            peer.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = self._peer(reader, writer)
        self.clients.append(writer.get_extra_info("peername")[0])
        upstream: Peer | None = None
        answers: asyncio.Task[None] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, headers = self._note(head)
                if self.login is not None and headers.get("proxy-authorization") != self.login:
                    await client.answer("407 Proxy Authentication Required", b"who?")
                    continue
                method, target, _ = line.split(" ")
                if upstream is None:
                    upstream = await self._connect(client, method, target)
                    if upstream is None:
                        return
                    answers = asyncio.create_task(_relay(upstream, client))
                if method == "CONNECT":
                    await client.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await _relay(client, upstream)
                    return
                upstream.writer.write(_as_origin_form(head, method, target))
                await _relay_body(client, upstream, int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            if upstream is not None:
                upstream.reset()
        finally:
            if answers is not None:
                await asyncio.gather(answers, return_exceptions=True)
            writer.close()
            self._tasks.discard(task)

    def _note(self, head: bytes) -> tuple[str, dict[str, str]]:
        line, *rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
        self.lines.append(line)
        self.logins.append(headers.get("proxy-authorization"))
        return line, headers

    async def _connect(self, client: Peer, method: str, target: str) -> Peer | None:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        assert parts.hostname is not None
        host = self.names.get(parts.hostname, parts.hostname)
        try:
            return self._peer(*await asyncio.open_connection(host, parts.port or 80))
        except OSError:
            await client.answer("502 Bad Gateway", b"", "connection: close\r\n")
            return None

    def _peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Peer:
        peer = Peer(reader, writer, len(self._peers))
        self._peers.append(peer)
        return peer


def _as_origin_form(head: bytes, method: str, target: str) -> bytes:
    """Return the head as the receiver gets it: without the host in the URL, and without credentials."""
    parts = urlsplit(target)
    path = target.partition(parts.netloc)[2]
    _, _, rows = head.partition(b"\r\n")
    kept = [row for row in rows.split(b"\r\n") if not row.lower().startswith(b"proxy-authorization:")]
    return f"{method} {path} HTTP/1.1\r\n".encode() + b"\r\n".join(kept)


async def _relay(source: Peer, sink: Peer) -> None:
    """Copy bytes until ``source`` ends, and end ``sink`` in the same way."""
    try:
        while data := await source.reader.read(65536):
            await sink.write(data)
    except (ConnectionError, ssl.SSLError):
        sink.reset()
        return
    with suppress(OSError, RuntimeError):
        sink.close()


async def _relay_body(source: Peer, sink: Peer, length: int) -> None:
    while length:
        data = await source.reader.read(min(length, 65536))
        if not data:
            raise ConnectionResetError
        await sink.write(data)
        length -= len(data)
