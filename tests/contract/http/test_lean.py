"""The lean transport beyond the common contract: framing, limits, and exactly one answer per request."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.url import parse_url
from bridge.errors import TransportFault
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.model import Request
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.transports import LOOPBACK, fault_of, make_lean, ok, post


async def test_a_request_is_sent_in_one_write(lean: LeanTransport) -> None:
    """Head and body in two segments would delay each other (Nagle, delayed ACK)."""
    first_reads: list[bytes] = []

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_reads.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 204 N\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(raw, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await lean.send(post(port), 5)
    assert first_reads[0].endswith(b'\r\n\r\n{"a":1}')
    await lean.close()
    server.close()
    await server.wait_closed()


async def test_a_request_over_a_free_connection_does_not_look_for_the_loop(
    lean: LeanTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Python 3.11, ``get_running_loop`` is a system call."""

    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 204 N\r\n\r\n")

    def get_running_loop() -> asyncio.AbstractEventLoop:
        raise AssertionError("a request asked for the loop")

    async with ScriptedServer(script) as server:
        await lean.send(post(server), 5)
        sending = lean.send(post(server), 5)
        with monkeypatch.context() as patch:
            patch.setattr("bridge.http.lean.asyncio.get_running_loop", get_running_loop)
            waiting = sending.send(None)
        assert waiting is not None, "it waits for the answer"
        sending.close()


async def test_http_1_0_with_keep_alive_keeps_the_connection(lean: LeanTransport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na")

    async with ScriptedServer(script) as server:
        for _ in range(2):
            assert (await lean.send(post(server), 5)).body == b"a"
    assert server.connections == 1


async def test_garbage_is_detected_at_its_first_bytes(lean: LeanTransport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"SSH-2")
        await peer.closed_by_client()

    async with ScriptedServer(script) as server:
        assert await fault_of(lean, post(server)) is TransportFault.PROTOCOL


async def test_an_answer_to_head_has_no_body(lean: LeanTransport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await peer.closed_by_client()

    async with ScriptedServer(script) as server:
        response = await lean.send(post(server, method="HEAD"), 5)
    assert (response.status, response.body) == (200, b"")


async def test_an_answer_with_excessive_framing_is_truncated(lean: LeanTransport) -> None:
    written = 0

    async def script(peer: Peer, received: Received) -> None:
        nonlocal written
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1;")
        while True:
            await peer.write(b"x" * 60_000)
            written += 60_000

    async with ScriptedServer(script) as server:
        response = await lean.send(post(server), 5)
    assert (response.status, response.body) == (200, b"a")
    assert written < 20_000_000  # about the size of the socket buffers


async def test_headers_are_bounded_and_a_long_body_does_not_count_as_headers() -> None:
    lean = make_lean(max_header_bytes=500, max_body_bytes=3000)

    async def script(peer: Peer, received: Received) -> None:
        if len(server.received) == 1:
            await peer.answer(headers="x: y\r\n" * 100)
        else:
            await peer.answer(body=b"z" * 3000)

    async with ScriptedServer(script) as server:
        assert await fault_of(lean, post(server)) is TransportFault.PROTOCOL
        for _ in range(2):
            assert len((await lean.send(post(server), 5)).body) == 3000
        assert server.connections == 2
        await lean.close()


async def test_writing_to_a_reset_socket_is_a_fault_of_the_attempt() -> None:
    """uvloop refuses to write before it calls connection_lost."""
    async with ScriptedServer(ok) as server:
        lean = LeanTransport(EgressPolicy(LOOPBACK), 1)
        assert (await lean.send(post(server), 5)).status == 200
        (connection,) = lean._joined

        class Reset:
            def write(self, data: bytes) -> None:
                raise RuntimeError("the handler is closed")

            def abort(self) -> None:
                pass

        transport, connection._transport = connection._transport, Reset()  # type: ignore[assignment]
        assert await fault_of(lean, post(server)) is TransportFault.READ
        assert transport is not None
        transport.abort()
        assert (await lean.send(post(server), 5)).status == 200
        await lean.close()


async def test_a_url_that_breaks_the_head_is_refused(lean: LeanTransport) -> None:
    """``parse_url`` refuses such a URL too; the transport does not rely on that."""
    url = parse_url("http://127.0.0.1:9/")._replace(target="/a HTTP/1.1\r\nX: y")
    assert await fault_of(lean, Request("POST", url, (), b"")) is TransportFault.PROTOCOL
