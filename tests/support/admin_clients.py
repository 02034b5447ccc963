"""Clients of an admin port that behave badly, over plain sockets, for tests of its limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass
class Client:
    """One connection, which sends what a test requires."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Return the next answer, with its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            int(row.partition(b":")[2])
            for row in head.lower().split(b"\r\n")
            if row.startswith(b"content-length:")
        )
        return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return everything until the server closes the connection, however it does so."""
        data = b""
        try:
            while chunk := await self.reader.read(65536):
                data += chunk
        except ConnectionError:
            pass
        return data

    def close(self) -> None:
        self.writer.transport.abort()


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


async def ask(port: int, path: str, headers: str = "", method: str = "GET") -> bytes:
    """Return the answer to one request over its own connection."""
    client = await connect(port)
    try:
        host = "" if "host:" in headers.lower() else "Host: 127.0.0.1\r\n"
        await client.send(f"{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n".encode())
        return await client.rest()
    finally:
        client.close()
