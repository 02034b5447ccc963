"""Every transport turns received bytes into an answer or a named fault."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import TransportFault
from bridge.http import Transport
from tests.support.scripted_http import Peer, Received, Script, ScriptedServer
from tests.support.transports import MakeTransport, fault_of, ok, post


def says(raw: bytes, close: bool = False) -> Script:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(raw)
        if close:
            peer.close()

    return script


@pytest.mark.parametrize("status", [200, 201, 301, 400, 410, 429, 500, 599])
async def test_any_status_is_an_answer(transport: Transport, status: int) -> None:
    """Also a redirect, which is not followed."""

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer(f"{status} X", b"b", f"location: http://127.0.0.1:{server.port}/other\r\n")

    async with ScriptedServer(script) as server:
        response = await transport.send(post(server), 5)
    assert response.status == status
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            200,
            b"abcde",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: v\r\n\r\n", 200, b"a"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
            204,
            b"",
        ),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b""),
    ],
    ids=["chunked", "trailers", "204", "304", "100", "103-102", "no-reason"],
)
async def test_an_answer_in_any_framing_is_read_and_its_connection_kept(
    transport: Transport, raw: bytes, status: int, body: bytes
) -> None:
    async with ScriptedServer(says(raw)) as server:
        for _ in range(2):
            response = await transport.send(post(server), 5)
            assert (response.status, response.body) == (status, body)
            assert response.header(b"link") is None
            assert response.header(b"t") is None
    assert server.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["no-length", "1.0-no-length", "1.0", "close"],
)
async def test_an_answer_that_closes_the_connection_is_read_and_the_connection_not_reused(
    transport: Transport, raw: bytes
) -> None:
    async with ScriptedServer(says(raw, close=True)) as server:
        for _ in range(3):
            assert (await transport.send(post(server), 5)).body == b"abc"
    assert server.connections == 3


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_the_limit_is_truncated_and_its_connection_closed(
    transport: Transport, chunked: bool
) -> None:
    closed: list[bool] = []

    async def script(peer: Peer, received: Received) -> None:
        if len(server.received) > 1:
            await peer.answer()
        elif chunked:
            await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            await peer.write(b"258\r\n" + b"x" * 600 + b"\r\n258\r\n" + b"x" * 600 + b"\r\n")
            closed.append(await peer.closed_by_client())
        else:
            await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1500)
            closed.append(await peer.closed_by_client())

    async with ScriptedServer(script) as server:
        response = await transport.send(post(server), 5)
        assert (response.status, response.body) == (200, b"x" * 1000)
        assert (await transport.send(post(server), 5)).body == b"ok"
    assert closed == [True]
    assert server.connections == 2


async def test_a_body_of_exactly_the_limit_is_complete(transport: Transport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.answer(body=b"x" * 1000)

    async with ScriptedServer(script) as server:
        for _ in range(2):
            assert (await transport.send(post(server), 5)).body == b"x" * 1000
    assert server.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50" * 20,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 6000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["ssh", "tls", "status", "101", "length", "header", "flood-one", "flood-many", "chunk"],
)
async def test_an_answer_that_is_not_http_is_a_protocol_fault(transport: Transport, raw: bytes) -> None:
    async def script(peer: Peer, received: Received) -> None:
        peer.writer.write(raw)
        await peer.closed_by_client()

    async with ScriptedServer(script) as server:
        assert await fault_of(transport, post(server)) is TransportFault.PROTOCOL
        server.script = ok
        assert (await transport.send(post(server), 5)).status == 200
    assert server.connections == 2


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nCont", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]
)
async def test_a_connection_that_breaks_before_the_answer_ends_is_a_read_fault(
    transport: Transport, first: bytes, how: str
) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(first)
        getattr(peer, how)()

    async with ScriptedServer(script) as server:
        assert await fault_of(transport, post(server)) is TransportFault.READ
        server.script = ok
        assert (await transport.send(post(server), 5)).status == 200


async def test_a_reset_does_not_complete_an_answer_without_a_length(transport: Transport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        peer.reset()

    async with ScriptedServer(script) as server:
        assert await fault_of(transport, post(server)) is TransportFault.READ


@pytest.mark.parametrize(
    "surplus", [b"HTTP/1.1 500 Evil\r\nContent-Length: 4\r\n\r\nevil", b"x", b"HTTP/1.1 500 "]
)
@pytest.mark.parametrize("waiting", [False, True])
async def test_a_second_answer_is_never_used_for_the_next_request(
    make_either: MakeTransport, surplus: bytes, waiting: bool
) -> None:
    """It comes in the same read as the first one, with and without a request waiting for the connection."""
    transport = make_either(max_connections=1)

    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" + surplus)

    async with ScriptedServer(script) as server:
        if waiting:
            answers = await asyncio.gather(*(transport.send(post(server), 5) for _ in range(3)))
        else:
            answers = [await transport.send(post(server), 5) for _ in range(3)]
        assert [(a.status, a.body) for a in answers] == [(200, b"good")] * 3
        assert server.connections == 3
        await transport.close()


async def test_a_second_answer_that_comes_later_is_never_used_for_the_next_request(
    make_either: MakeTransport,
) -> None:
    """It comes while the connection is free: the connection is closed, and the next request gets its own."""
    transport, sent, closed = make_either(max_connections=1), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer(body=b"good")
        if len(server.received) == 1:
            await sent.wait()
            await peer.write(b"HTTP/1.1 500 Evil\r\nContent-Length: 4\r\n\r\nevil")
            if await peer.closed_by_client():
                closed.set()

    async with ScriptedServer(script) as server:
        assert (await transport.send(post(server), 5)).body == b"good"
        sent.set()
        await asyncio.wait_for(closed.wait(), 30)
        assert (await transport.send(post(server), 5)).body == b"good"
        assert server.connections == 2
        await transport.close()


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nLink: x\r\n\r\n"])
async def test_a_flood_of_interim_answers_ends_early(transport: Transport, interim: bytes) -> None:
    """The bytes that are read are bounded, and with them the time of the processor."""
    written = 0

    async def script(peer: Peer, received: Received) -> None:
        nonlocal written
        while True:
            await peer.write(interim * 1000)
            written += 1000 * len(interim)

    async with ScriptedServer(script) as server:
        assert await fault_of(transport, post(server)) is TransportFault.PROTOCOL
    assert written < 20_000_000  # about the size of the socket buffers
