"""What the lean transport does beyond the contract: its connections, its pool and its dials."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

import pytest

from bridge.egress import Egress
from bridge.errors import TransportError, TransportFault
from bridge.model import Request
from bridge.transport.connection import Connection
from bridge.transport.lean import LeanTransport
from bridge.transport.url import parse_url
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.tls import TestAuthority
from tests.support.transports import LOOPBACK, make_lean


def post(port: int, host: str = "127.0.0.1", scheme: str = "http", method: str = "POST") -> Request:
    return Request(method, parse_url(f"{scheme}://{host}:{port}/hooks"), (), b"{}")


async def ok(peer: Peer, received: Received) -> None:
    await peer.answer()


async def fault_of(transport: LeanTransport, request: Request, timeout_s: float = 5.0) -> TransportFault:
    with pytest.raises(TransportError) as caught:
        await transport.send(request, timeout_s)
    return caught.value.fault


class Names:
    """A resolver that answers from a list, and from the next one on the next call."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


async def test_the_request_is_one_write(lean: LeanTransport) -> None:
    """Head and body in two segments would wait for each other (Nagle, delayed ACK)."""
    first_reads: list[bytes] = []

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_reads.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 204 N\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(raw, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await lean.send(post(port), 5)
    assert first_reads[0].endswith(b"\r\n\r\n{}")
    await lean.close()
    server.close()
    await server.wait_closed()


async def test_a_keep_alive_answer_of_http_1_0_keeps_its_connection(lean: LeanTransport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na")

    async with ScriptedServer(script) as server:
        for _ in range(2):
            assert (await lean.send(post(server.port), 5)).body == b"a"
    assert server.connections == 1


async def test_garbage_is_known_by_its_first_bytes(lean: LeanTransport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"SSH-2")
        await peer.closed_by_client()

    async with ScriptedServer(script) as server:
        assert await fault_of(lean, post(server.port)) is TransportFault.PROTOCOL


async def test_an_answer_to_head_has_no_body(lean: LeanTransport) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await peer.closed_by_client()

    async with ScriptedServer(script) as server:
        response = await lean.send(post(server.port, method="HEAD"), 5)
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    "surplus", [b"HTTP/1.1 500 Evil\r\nContent-Length: 4\r\n\r\nevil", b"x", b"HTTP/1.1 500 "]
)
@pytest.mark.parametrize("waiting", [False, True])
async def test_a_second_answer_is_never_taken_for_the_next_request(surplus: bytes, waiting: bool) -> None:
    """In the same read as the first one, with and without a request that waits for the connection."""
    lean = make_lean(max_connections=1)

    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" + surplus)

    async with ScriptedServer(script) as server:
        if waiting:
            answers = await asyncio.gather(*(lean.send(post(server.port), 5) for _ in range(3)))
        else:
            answers = [await lean.send(post(server.port), 5) for _ in range(3)]
        assert [(a.status, a.body) for a in answers] == [(200, b"good")] * 3
        assert server.connections == 3
        await lean.close()


async def test_bytes_on_a_free_connection_drop_it(lean: LeanTransport) -> None:
    dropped = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer()
        if peer.number == 1:
            await speak.wait()
            await peer.write(b"HTTP/1.1 500 Evil\r\nContent-Length: 0\r\n\r\n")
            if await peer.closed_by_client():
                dropped.set()

    speak = asyncio.Event()
    async with ScriptedServer(script) as server:
        await lean.send(post(server.port), 5)
        speak.set()
        await asyncio.wait_for(dropped.wait(), 5)
        assert (await lean.send(post(server.port), 5)).status == 200
    assert server.connections == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_free_connection_that_the_receiver_closes_is_removed_at_once(
    lean: LeanTransport, how: str
) -> None:
    async with ScriptedServer(ok) as server:
        for round_ in range(5):
            assert (await lean.send(post(server.port), 5)).status == 200
            getattr(server.peers[-1], how)()
            while lean._joined:  # until the loop has told the pool; no time passes otherwise
                await asyncio.sleep(0)
            assert server.connections == round_ + 1
            assert lean._open == 0


async def test_a_connection_is_closed_after_idle_s() -> None:
    lean = make_lean(idle_s=0.05)
    closed = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer()
        if await peer.closed_by_client():
            closed.set()

    async with ScriptedServer(script) as server:
        await lean.send(post(server.port), 5)
        await asyncio.wait_for(closed.wait(), 5)
        assert (await lean.send(post(server.port), 5)).status == 200
        await lean.close()
    assert server.connections == 2


async def test_idleness_begins_with_the_answer_not_with_the_connection() -> None:
    """A slow answer, longer than idle_s, neither times out nor costs the connection."""
    lean = make_lean(idle_s=0.05)

    async def script(peer: Peer, received: Received) -> None:
        await asyncio.sleep(0.15)  # the receiver's own time
        await peer.answer()

    async with ScriptedServer(script) as server:
        for _ in range(3):
            assert (await lean.send(post(server.port), 5)).status == 200
        await lean.close()
    assert server.connections == 1


async def test_a_connection_that_was_busy_for_long_is_closed_after_idle_s_too() -> None:
    """The timer was set for the request's deadline, an hour away, and must not stay there."""
    lean = make_lean(idle_s=0.05)
    closed = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        await asyncio.sleep(0.15)  # the receiver's own time
        await peer.answer()
        if await peer.closed_by_client():
            closed.set()

    async with ScriptedServer(script) as server:
        await lean.send(post(server.port), 3600)
        await asyncio.wait_for(closed.wait(), 5)
        await lean.close()


async def test_a_connection_that_grew_old_while_the_loop_stood_still_is_not_used() -> None:
    lean = make_lean(idle_s=0.05)
    async with ScriptedServer(ok) as server:
        await lean.send(post(server.port), 5)
        time.sleep(0.1)  # no timer can run
        assert (await lean.send(post(server.port), 5)).status == 200
        await lean.close()
    assert server.connections == 2


async def test_a_connection_that_closes_while_it_is_handed_over_is_not_used() -> None:
    lean = make_lean(max_connections=1)
    handed = lean.freed

    def freed(connection: Connection) -> None:
        handed(connection)
        connection.retire()

    lean.freed = freed  # type: ignore[method-assign]
    async with ScriptedServer(ok) as server:
        answers = await asyncio.gather(*(lean.send(post(server.port), 5) for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5
        assert lean._open == 0
        await lean.close()


async def test_a_request_that_was_not_written_does_not_keep_its_socket(lean: LeanTransport) -> None:
    """The receiver reads nothing, so what is buffered would wait for ever."""
    async with ScriptedServer(ok, read_body=False) as server:

        async def stall(peer: Peer, received: Received) -> None:
            await asyncio.get_running_loop().create_future()

        server.script = stall
        big = post(server.port)._replace(body=b"x" * 30_000_000)
        assert await fault_of(lean, big, 0.1) is TransportFault.TIMEOUT
        await asyncio.wait_for(lean.close(), 5)


async def test_an_answer_that_is_all_framing_is_cut(lean: LeanTransport) -> None:
    written = 0

    async def script(peer: Peer, received: Received) -> None:
        nonlocal written
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1;")
        while True:
            await peer.write(b"x" * 60_000)
            written += 60_000

    async with ScriptedServer(script) as server:
        response = await lean.send(post(server.port), 5)
    assert (response.status, response.body) == (200, b"a")
    assert written < 20_000_000  # what the socket buffers take, and no more


async def test_headers_are_bounded_and_a_long_body_does_not_count_as_headers() -> None:
    lean = make_lean(max_header_bytes=500, max_body_bytes=3000)

    async def script(peer: Peer, received: Received) -> None:
        if len(server.received) == 1:
            await peer.answer(headers="x: y\r\n" * 100)
        else:
            await peer.answer(body=b"z" * 3000)

    async with ScriptedServer(script) as server:
        assert await fault_of(lean, post(server.port)) is TransportFault.PROTOCOL
        for _ in range(2):
            assert len((await lean.send(post(server.port), 5)).body) == 3000
        assert server.connections == 2
        await lean.close()


async def test_the_last_freed_connection_is_used_first() -> None:
    lean = make_lean(max_connections=3)
    gate = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        if len(server.received) <= 3:
            if len(server.received) == 3:
                gate.set()
            await gate.wait()
        await peer.answer()

    async with ScriptedServer(script) as server:
        await asyncio.gather(*(lean.send(post(server.port), 5) for _ in range(3)))
        for _ in range(6):
            await lean.send(post(server.port), 5)
        assert len({received.connection for received in server.received[3:]}) == 1
        await lean.close()


async def test_a_full_pool_gives_a_free_connection_of_another_origin_away() -> None:
    lean = make_lean(max_connections=2)
    async with ScriptedServer(ok) as a, ScriptedServer(ok) as b, ScriptedServer(ok) as c:
        for server in (a, b, c, a, b, c):
            assert (await lean.send(post(server.port), 5)).status == 200
            assert lean._open <= 2
        await lean.close()


async def test_a_request_that_waits_gets_the_room_of_another_origin() -> None:
    lean = make_lean(max_connections=1)
    arrived, release = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        await release.wait()
        await peer.answer()

    async with ScriptedServer(script) as a, ScriptedServer(ok) as b:
        first = asyncio.create_task(lean.send(post(a.port), 5))
        await arrived.wait()
        second = asyncio.create_task(lean.send(post(b.port), 5))
        await asyncio.sleep(0)
        release.set()
        assert (await first).status == 200
        assert (await second).status == 200
        await lean.close()


async def test_no_room_is_lost_when_requests_fail_time_out_or_are_cancelled() -> None:
    """A storm of every kind of end; then all the room is there again."""
    lean = make_lean(max_connections=3)
    count = 0

    async def script(peer: Peer, received: Received) -> None:
        nonlocal count
        count += 1
        kind = count % 6
        if kind == 0:
            peer.reset()
        elif kind == 1:
            peer.close()
        elif kind == 2:
            await peer.closed_by_client()
        elif kind == 3:
            await peer.write(b"garbage garbage")
        elif kind == 4:
            await peer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        else:
            await peer.answer()

    async with ScriptedServer(script) as server:
        tasks = [asyncio.create_task(lean.send(post(server.port), 0.05 * (i % 7))) for i in range(200)]
        for i, task in enumerate(tasks):
            if i % 5 == 0:
                await asyncio.sleep(0)
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                assert isinstance(result, TransportError | asyncio.CancelledError)
        server.script = ok
        answers = await asyncio.gather(*(lean.send(post(server.port), 5) for _ in range(30)))
        assert [answer.status for answer in answers] == [200] * 30
        assert lean._open == len(lean._joined) <= 3
        await lean.close()
    assert lean._open == 0


async def test_a_forbidden_address_is_refused_before_the_dial() -> None:
    async with ScriptedServer(ok) as server:
        lean = LeanTransport(Egress([]), 1)
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"):
            assert await fault_of(lean, post(server.port, host)) is TransportFault.REFUSED_ADDRESS
        await lean.close()
    assert server.connections == 0


async def test_who_lost_the_right_to_send_while_a_connection_was_made_sends_nothing() -> None:
    may_write = False
    async with ScriptedServer(ok) as server:
        lean = LeanTransport(Egress(LOOPBACK), 1, may_write=lambda: may_write)
        assert await fault_of(lean, post(server.port)) is TransportFault.WITHHELD
        assert not server.received
        may_write = True
        assert (await lean.send(post(server.port), 5)).status == 200, "over the connection that was made"
        await lean.close()
    assert server.connections == 1


async def test_a_socket_that_was_reset_a_moment_ago_is_a_fault_of_the_attempt() -> None:
    """uvloop refuses to write before it tells that the connection is lost."""
    async with ScriptedServer(ok) as server:
        lean = LeanTransport(Egress(LOOPBACK), 1)
        assert (await lean.send(post(server.port), 5)).status == 200
        (connection,) = lean._joined

        class Reset:
            def write(self, data: bytes) -> None:
                raise RuntimeError("the handler is closed")

            def abort(self) -> None:
                pass

        transport, connection._transport = connection._transport, Reset()  # type: ignore[assignment]
        assert await fault_of(lean, post(server.port)) is TransportFault.READ
        assert transport is not None
        transport.abort()
        assert (await lean.send(post(server.port), 5)).status == 200
        await lean.close()


async def test_every_dial_is_checked_not_only_the_first() -> None:
    """DNS rebinding: the name was public at first and is not any more."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    lean = LeanTransport(Egress(LOOPBACK, names), 1)

    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    async with ScriptedServer(script) as server:
        assert (await lean.send(post(server.port, "rebind.test"), 5)).status == 200
        assert await fault_of(lean, post(server.port, "rebind.test")) is TransportFault.REFUSED_ADDRESS
        await lean.close()
    assert names.asked == ["rebind.test"] * 2
    assert server.received[0].headers["host"] == f"rebind.test:{server.port}"


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    lean = LeanTransport(Egress(LOOPBACK, Names(["127.0.0.2", "127.0.0.1"])), 1)
    async with ScriptedServer(ok) as server:  # listens on 127.0.0.1 only
        assert (await lean.send(post(server.port, "two.test"), 5)).status == 200
        await lean.close()


async def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    lean = LeanTransport(Egress(LOOPBACK, Names(["127.0.0.2", "127.0.0.1"])), 1, connect_timeout_s=0.6)
    loop = asyncio.get_running_loop()
    async with ScriptedServer(ok) as server:
        with socket.socket() as silent, socket.socket() as first:
            silent.bind(("127.0.0.2", server.port))
            silent.listen(0)  # room for one; the kernel drops what comes after it
            first.setblocking(False)
            await loop.sock_connect(first, ("127.0.0.2", server.port))
            assert (await lean.send(post(server.port, "two.test"), 5)).status == 200
        await lean.close()


async def test_a_dial_is_bounded_by_the_whole_attempt_too() -> None:
    async def never(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        await asyncio.get_running_loop().create_future()
        return []

    lean = LeanTransport(Egress(LOOPBACK, never), 1, connect_timeout_s=0.05)
    assert await fault_of(lean, post(80), 5) is TransportFault.CONNECT
    assert await fault_of(lean, post(80), 0.01) is TransportFault.TIMEOUT
    assert lean._open == 0


async def test_the_name_of_the_url_is_what_tls_checks(authority: TestAuthority) -> None:
    """Also with the closing dot that keeps a resolver from its search list."""
    names = Names(["127.0.0.1"])
    lean = LeanTransport(Egress(LOOPBACK, names), 2, authority.client_context())
    async with ScriptedServer(ok, tls=authority.server_context()) as server:
        for host in ("receiver.test", "receiver.test."):
            assert (await lean.send(post(server.port, host, "https"), 5)).status == 200
        assert await fault_of(lean, post(server.port, "other.test", "https")) is TransportFault.TLS
        await lean.close()


async def test_a_connection_that_ends_in_the_handshake_is_a_tls_fault() -> None:
    async def hang_up(peer: Peer) -> None:
        peer.reset()

    lean = LeanTransport(Egress(LOOPBACK), 1, ssl.create_default_context())
    async with ScriptedServer(ok, on_connect=hang_up) as server:
        assert await fault_of(lean, post(server.port, scheme="https")) is TransportFault.TLS
        await lean.close()


async def test_a_url_that_breaks_the_head_is_refused(lean: LeanTransport) -> None:
    """``parse_url`` does not let it through; the transport does not rely on that."""
    url = parse_url("http://127.0.0.1:9/")._replace(target="/a HTTP/1.1\r\nX: y")
    assert await fault_of(lean, Request("POST", url, (), b"")) is TransportFault.PROTOCOL
