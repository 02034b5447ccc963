"""What every transport keeps, whatever the receiver does."""

from __future__ import annotations

import asyncio

import pytest

from bridge import __version__
from bridge.errors import TransportError, TransportFault
from bridge.model import Request, Response
from bridge.transport import Transport
from bridge.transport.httpx_transport import HttpxTransport
from bridge.transport.url import parse_url
from tests.support.scripted_http import Peer, Received, Script, ScriptedServer
from tests.support.tls import TestAuthority
from tests.support.transports import MakeTransport


def post(
    server: ScriptedServer,
    body: bytes = b'{"a":1}',
    path: str = "/hooks/a?b=c",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    method: str = "POST",
    scheme: str = "http",
    host: str = "127.0.0.1",
) -> Request:
    return Request(method, parse_url(f"{scheme}://{host}:{server.port}{path}"), headers, body)


def says(raw: bytes, close: bool = False) -> Script:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(raw)
        if close:
            peer.close()

    return script


async def ok(peer: Peer, received: Received) -> None:
    await peer.answer()


async def fault_of(transport: Transport, request: Request, timeout_s: float = 5.0) -> TransportFault:
    with pytest.raises(TransportError) as caught:
        await transport.send(request, timeout_s)
    assert "hooks" not in caught.value.detail, "a path is a secret"
    return caught.value.fault


async def test_a_request_arrives_as_it_was_given(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        request = post(server, b"\x00body", headers=((b"Content-Type", b"a/b"), (b"X-Odd", b"\xc3\xa9 x")))
        response = await transport.send(request, 5)
    received = server.received[0]
    assert received.line == "POST /hooks/a?b=c HTTP/1.1"
    assert received.body == b"\x00body"
    assert received.headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "a/b",
        "x-odd": "\xc3\xa9 x",
        "content-length": "5",
        "user-agent": f"hookferry/{__version__}",
    }
    assert response == Response(200, ((b"content-length", b"2"),), b"ok")


async def test_a_given_user_agent_is_kept(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        await transport.send(post(server, headers=((b"USER-Agent", b"mine"),)), 5)
    assert server.received[0].headers["user-agent"] == "mine"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_any_method_carries_a_body_and_each_has_its_own_answer(
    transport: Transport, method: str
) -> None:
    """Over one connection, to a URL that changes with every request, as templated ones do."""
    async with ScriptedServer(ok) as server:
        for number in range(3):
            request = post(server, b'{"n":%d}' % number, path=f"/loans/{number}?x={number}", method=method)
            assert (await transport.send(request, 5)).status == 200
    assert [one.line for one in server.received] == [
        f"{method} /loans/{number}?x={number} HTTP/1.1" for number in range(3)
    ]
    assert [one.body for one in server.received] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert {one.headers["content-length"] for one in server.received} == {"7"}
    assert server.connections == 1


@pytest.mark.parametrize(
    ("method", "length"),
    [("POST", "0"), ("PUT", "0"), ("PATCH", "0"), ("DELETE", None), ("GET", None)],
)
async def test_an_empty_body_has_a_length_where_a_body_is_usual(
    transport: Transport, method: str, length: str | None
) -> None:
    async with ScriptedServer(ok) as server:
        await transport.send(post(server, b"", method=method), 5)
    assert server.received[0].headers.get("content-length") == length


async def test_escapes_in_the_target_are_not_escaped_again(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        await transport.send(post(server, path="/a%2Fb/%7Ex//c;e?d=%20e&f[]=g+h"), 5)
    assert server.received[0].line == "POST /a%2Fb/%7Ex//c;e?d=%20e&f[]=g+h HTTP/1.1"


async def test_a_connection_is_used_again(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        for _ in range(5):
            await transport.send(post(server), 5)
    assert server.connections == 1
    assert len(server.received) == 5


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
async def test_an_answer_in_this_form_is_read_and_its_connection_kept(
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
async def test_an_answer_that_ends_the_connection_is_read_and_the_connection_is_not_used_again(
    transport: Transport, raw: bytes
) -> None:
    async with ScriptedServer(says(raw, close=True)) as server:
        for _ in range(3):
            assert (await transport.send(post(server), 5)).body == b"abc"
    assert server.connections == 3


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_the_limit_is_cut_and_its_connection_closed(
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


async def test_a_body_of_just_the_limit_is_whole(transport: Transport) -> None:
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
async def test_what_is_not_http_is_a_protocol_fault(transport: Transport, raw: bytes) -> None:
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


async def test_a_reset_does_not_end_an_answer_that_ends_with_the_connection(transport: Transport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        peer.reset()

    async with ScriptedServer(script) as server:
        assert await fault_of(transport, post(server)) is TransportFault.READ


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_an_answer_that_stalls_is_a_timeout_and_closes_the_connection(
    transport: Transport, first: bytes
) -> None:
    closed = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        await peer.write(first)
        if await peer.closed_by_client():
            closed.set()

    async with ScriptedServer(script) as server:
        assert await fault_of(transport, post(server), 0.1) is TransportFault.TIMEOUT
        await asyncio.wait_for(closed.wait(), 5)
        server.script = ok
        assert (await transport.send(post(server), 5)).status == 200


async def test_drops_of_an_answer_do_not_stretch_the_timeout(transport: Transport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            await peer.write(b"x")
            await asyncio.sleep(0.01)  # the drip itself, not a wait for something

    async with ScriptedServer(script) as server:
        before = asyncio.get_running_loop().time()
        assert await fault_of(transport, post(server), 0.2) is TransportFault.TIMEOUT
        assert asyncio.get_running_loop().time() - before < 2


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


async def test_an_answer_before_the_body_is_written_is_taken_and_the_connection_closed(
    transport: Transport,
) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("413 Too Large", b"no")
        await release.wait()

    release = asyncio.Event()
    async with ScriptedServer(script, read_body=False) as server:
        big = post(server, b"x" * 30_000_000)
        if isinstance(transport, HttpxTransport):
            # httpcore writes a body to its end before it reads; the time runs out on it.
            assert await fault_of(transport, big, 1) is TransportFault.TIMEOUT
        else:
            response = await transport.send(big, 5)
            assert (response.status, response.body) == (413, b"no")
        release.set()
        server.read_body = True
        server.script = ok
        assert (await transport.send(post(server), 5)).status == 200
    assert server.connections == 2


async def test_nobody_listening_is_a_connect_fault(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        request = post(server)
    assert await fault_of(transport, request) is TransportFault.CONNECT


async def test_a_name_without_an_address_is_a_connect_fault(transport: Transport) -> None:
    request = Request("POST", parse_url("http://nobody.invalid/hooks"), (), b"")
    assert await fault_of(transport, request) is TransportFault.CONNECT


@pytest.mark.parametrize(
    "header",
    [
        (b"X-A", b"a\r\nX-B: b"),
        (b"X-A", b"a\nb"),
        (b"X-A", b"a\rb"),
        (b"X-A", b"a\0b"),
        (b"X-A\r\nX-B", b"c"),
        (b"X A", b"c"),
        (b"X-A:", b"c"),
        (b"", b"c"),
        (b"Transfer-Encoding", b"chunked"),
        (b"content-length", b"3"),
        (b"Host", b"other"),
        (b"Connection", b"close"),
    ],
)
async def test_a_header_that_breaks_the_head_is_refused_before_anything_is_written(
    transport: Transport, header: tuple[bytes, bytes]
) -> None:
    async with ScriptedServer(ok) as server:
        request = post(server, headers=((b"X-Fine", b"1"), header))
        assert await fault_of(transport, request) is TransportFault.PROTOCOL
    assert server.connections == 0


@pytest.mark.parametrize("method", ["CONNECT", "PO ST", "POST\r\nX: y", "", "PÖST"])
async def test_a_method_that_breaks_the_head_is_refused(transport: Transport, method: str) -> None:
    async with ScriptedServer(ok) as server:
        assert await fault_of(transport, post(server, method=method)) is TransportFault.PROTOCOL
    assert server.connections == 0


async def test_no_more_connections_than_allowed_and_the_others_wait(make_either: MakeTransport) -> None:
    transport = make_either(max_connections=3)
    async with ScriptedServer(ok) as server:
        responses = await asyncio.gather(*(transport.send(post(server), 10) for _ in range(50)))
        assert [response.status for response in responses] == [200] * 50
        assert server.connections == 3
        await transport.close()


async def test_a_request_that_finds_no_free_connection_runs_out_of_time(make_either: MakeTransport) -> None:
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


async def test_tls_with_a_trusted_certificate(make_either: MakeTransport, authority: TestAuthority) -> None:
    transport = make_either(tls=authority.client_context())
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        for _ in range(2):
            response = await transport.send(post(server, scheme="https", host="localhost"), 5)
            assert response.status == 200
        assert server.connections == 1
        await transport.close()


@pytest.mark.parametrize("case", ["unknown authority", "another name", "no tls"])
async def test_tls_that_is_not_trusted_is_a_tls_fault(
    make_either: MakeTransport, authority: TestAuthority, case: str
) -> None:
    import ssl

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


async def test_a_receiver_that_closes_connections_at_any_time_never_makes_a_request_hang(
    transport: Transport,
) -> None:
    """Every 7th connection is closed right after an answer that promised to keep it."""
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
    assert len(faults) < 150  # at most one for each connection that was closed


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
