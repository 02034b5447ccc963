"""How every transport manages its connections, for every way a request can end."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from bridge.core.url import parse_url
from bridge.errors import TransportError, TransportFault
from bridge.http import Transport
from bridge.model import Request
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.tls import TestAuthority
from tests.support.transports import MakeTransport, fault_of, ok, post


async def test_a_connection_is_reused(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        for _ in range(5):
            await transport.send(post(server), 5)
    assert server.connections == 1
    assert len(server.received) == 5


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_an_answer_that_stalls_is_a_timeout_and_closes_the_connection(
    transport: Transport, first: bytes
) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        await peer.write(first)
        if await peer.closed_by_client():
            closed.set()

    async with ScriptedServer(script) as server:
        while not arrived.is_set():  # on a loaded machine, the connect alone may use up the timeout
            assert await fault_of(transport, post(server), 0.1) is TransportFault.TIMEOUT
        await asyncio.wait_for(closed.wait(), 5)
        server.script = ok
        assert (await transport.send(post(server), 5)).status == 200


async def test_a_slowly_dripping_answer_does_not_extend_the_timeout(transport: Transport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        while True:
            await peer.write(b"x")
            await asyncio.sleep(0.01)  # the interval of the drip, not a wait for a condition

    async with ScriptedServer(script) as server:
        before = asyncio.get_running_loop().time()
        assert await fault_of(transport, post(server), 0.2) is TransportFault.TIMEOUT
        assert asyncio.get_running_loop().time() - before < 20, "the answer takes 90 s"


async def test_a_cancelled_request_closes_its_connection(transport: Transport) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        if await peer.closed_by_client():
            closed.set()

    async with ScriptedServer(script) as server:
        task = asyncio.create_task(transport.send(post(server), 30))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 5)
        server.script = ok
        assert (await transport.send(post(server), 5)).status == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_answer_before_the_body_is_written_counts_and_the_connection_is_closed(
    make_either: MakeTransport, authority: TestAuthority, scheme: str
) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("413 Too Large", b"no")
        await release.wait()

    release = asyncio.Event()
    transport = make_either(tls=authority.client_context())
    tls = authority.server_context() if scheme == "https" else None
    async with ScriptedServer(script, read_body=False, tls=tls) as server:
        small = post(server, scheme=scheme, host="localhost")
        response = await transport.send(small._replace(body=b"x" * 30_000_000), 10)
        assert (response.status, response.body) == (413, b"no")
        release.set()
        server.read_body = True
        server.script = ok
        assert (await transport.send(small, 5)).status == 200
        await transport.close()
    assert server.connections == 2


async def test_a_large_request_over_tls_arrives_whole(
    make_either: MakeTransport, authority: TestAuthority
) -> None:
    transport = make_either(tls=authority.client_context())
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        for size in (65_000, 65_536, 70_000, 3_000_000, 1):
            request = post(server, scheme="https", host="localhost")._replace(body=b"x" * size)
            assert (await transport.send(request, 10)).status == 200
        await transport.close()
        assert [len(received.body) for received in server.received] == [65_000, 65_536, 70_000, 3_000_000, 1]
        assert server.connections == 1


async def test_a_closed_port_is_a_connect_fault(make_either: MakeTransport, authority: TestAuthority) -> None:
    """With https: a proxy that forwards http answers for the receiver, with 502."""
    transport = make_either(tls=authority.client_context())
    async with ScriptedServer(ok) as server:
        request = post(server, scheme="https")
    assert await fault_of(transport, request) is TransportFault.CONNECT
    await transport.close()


async def test_a_name_without_an_address_is_a_connect_fault(transport: Transport) -> None:
    request = Request("POST", parse_url("http://nobody.invalid/hooks"), (), b"")
    assert await fault_of(transport, request) is TransportFault.CONNECT


async def test_requests_beyond_the_connection_limit_wait(make_either: MakeTransport) -> None:
    transport = make_either(max_connections=3)
    async with ScriptedServer(ok) as server:
        responses = await asyncio.gather(*(transport.send(post(server), 10) for _ in range(50)))
        assert [response.status for response in responses] == [200] * 50
        assert server.connections == 3
        await transport.close()


async def test_a_request_without_a_free_connection_times_out(make_either: MakeTransport) -> None:
    transport = make_either(max_connections=1)
    arrived, release = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        await release.wait()
        await peer.answer()

    async with ScriptedServer(script) as server:
        first = asyncio.create_task(transport.send(post(server), 10))
        await arrived.wait()
        assert await fault_of(transport, post(server), 0.05) is TransportFault.TIMEOUT
        release.set()
        assert (await first).status == 200
        assert (await transport.send(post(server), 5)).status == 200
        assert len(server.received) == 2
        await transport.close()


async def test_a_trusted_certificate_is_accepted(
    make_either: MakeTransport, authority: TestAuthority
) -> None:
    transport = make_either(tls=authority.client_context())
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        for _ in range(2):
            response = await transport.send(post(server, scheme="https", host="localhost"), 5)
            assert response.status == 200
        assert server.connections == 1
        await transport.close()


@pytest.mark.parametrize("case", ["unknown authority", "another name", "no tls"])
async def test_an_untrusted_certificate_is_a_tls_fault(
    make_either: MakeTransport, authority: TestAuthority, case: str
) -> None:
    context = ssl.create_default_context() if case == "unknown authority" else authority.client_context()
    transport = make_either(tls=context)
    server_tls = None if case == "no tls" else authority.server_context()
    host = "127.0.0.1" if case == "another name" else "localhost"

    async def speak(peer: Peer) -> None:
        if case == "no tls":
            await peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with ScriptedServer(ok, on_connect=speak, tls=server_tls) as server:
        assert await fault_of(transport, post(server, scheme="https", host=host)) is TransportFault.TLS
        await transport.close()
    assert server.received == []


async def test_a_request_never_hangs_when_the_receiver_closes_connections_at_any_time(
    transport: Transport,
) -> None:
    """The receiver closes every 7th connection right after an answer that announced keep-alive."""
    faults: list[TransportFault] = []

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer()
        if len(server.received) % 7 == 0:
            peer.close()

    async with ScriptedServer(script) as server:
        request = post(server)
        for _ in range(1000):
            try:
                assert (await transport.send(request, 10)).body == b"ok"
            except TransportError as exc:
                faults.append(exc.fault)
    assert set(faults) <= {TransportFault.READ}
    assert len(server.received) >= 1000 - len(faults)
    assert len(faults) < 150  # at most one per closed connection


async def test_close_ends_requests_in_flight_and_refuses_new_ones(transport: Transport) -> None:
    arrived = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        await peer.closed_by_client()

    async with ScriptedServer(script) as server:
        task = asyncio.create_task(transport.send(post(server), 5))
        await arrived.wait()
        await transport.close()
        with pytest.raises(TransportError):
            await task
        assert await fault_of(transport, post(server)) is TransportFault.CONNECT
        await transport.close()
