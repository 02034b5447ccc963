"""The pool of the lean transport: which connections are reused, and that no slot is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from bridge.errors import TransportError, TransportFault
from bridge.http.connection import Connection
from bridge.http.lean import LeanTransport
from bridge.model import Url
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.transports import fault_of, make_lean, ok, post


async def test_unexpected_bytes_on_a_free_connection_close_it(lean: LeanTransport) -> None:
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
        await lean.send(post(server), 5)
        speak.set()
        await asyncio.wait_for(dropped.wait(), 5)
        assert (await lean.send(post(server), 5)).status == 200
    assert server.connections == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_free_connection_closed_by_the_receiver_is_removed_immediately(
    lean: LeanTransport, how: str
) -> None:
    async with ScriptedServer(ok) as server:
        for round_ in range(5):
            assert (await lean.send(post(server), 5)).status == 200
            getattr(server.peers[-1], how)()
            while lean._joined:  # until the loop has called connection_lost
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
        await lean.send(post(server), 5)
        await asyncio.wait_for(closed.wait(), 5)
        assert (await lean.send(post(server), 5)).status == 200
        await lean.close()
    assert server.connections == 2


async def test_idle_time_is_counted_from_the_answer_not_from_the_connect() -> None:
    """An answer that takes longer than idle_s neither times out nor closes the connection."""
    lean = make_lean(idle_s=0.5)  # more than a loaded machine needs between an answer and the next request

    async def script(peer: Peer, received: Received) -> None:
        await asyncio.sleep(0.7)  # the receiver's own time
        await peer.answer()

    async with ScriptedServer(script) as server:
        for _ in range(2):
            assert (await lean.send(post(server), 5)).status == 200
        await lean.close()
    assert server.connections == 1


async def test_a_connection_that_was_busy_for_long_is_also_closed_after_idle_s() -> None:
    """The timer was set for the request's deadline, an hour ahead, and must be set again."""
    lean = make_lean(idle_s=0.05)
    closed = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        await asyncio.sleep(0.15)  # the receiver's own time
        await peer.answer()
        if await peer.closed_by_client():
            closed.set()

    async with ScriptedServer(script) as server:
        await lean.send(post(server), 3600)
        await asyncio.wait_for(closed.wait(), 5)
        await lean.close()


async def test_a_connection_that_expired_while_the_loop_was_blocked_is_not_used() -> None:
    lean = make_lean(idle_s=0.05)
    async with ScriptedServer(ok) as server:
        await lean.send(post(server), 5)
        time.sleep(0.1)  # blocks the loop, so that no timer runs
        assert (await lean.send(post(server), 5)).status == 200
        await lean.close()
    assert server.connections == 2


async def test_a_connection_that_closes_while_its_waiter_wakes_up_is_not_used() -> None:
    lean = make_lean(max_connections=1)
    handed = lean.freed

    def freed(connection: Connection) -> None:
        handed(connection)
        connection.retire()

    lean.freed = freed  # type: ignore[method-assign]
    async with ScriptedServer(ok) as server:
        answers = await asyncio.gather(*(lean.send(post(server), 5) for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5
        assert lean._open == 0
        await lean.close()


async def test_a_connection_that_closes_while_its_waiter_is_cancelled_is_not_used() -> None:
    lean = make_lean(max_connections=1)
    handed = lean.freed

    def freed(connection: Connection) -> None:
        handed(connection)
        connection.retire()
        second.cancel()

    async with ScriptedServer(ok) as server:
        first, second = (asyncio.create_task(lean.send(post(server), 5)) for _ in range(2))
        lean.freed = freed  # type: ignore[method-assign]
        assert (await first).status == 200
        with pytest.raises(asyncio.CancelledError):
            await second
        lean.freed = handed  # type: ignore[method-assign]
        assert (await lean.send(post(server), 1)).status == 200
        await lean.close()


async def test_a_connection_that_opens_after_close_is_not_used(
    lean: LeanTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    dial, opened, go_on = lean._dialer.dial, asyncio.Event(), asyncio.Event()

    async def slow(url: Url, make: Callable[[], Connection]) -> Connection:
        connection = await dial(url, make)
        opened.set()
        await go_on.wait()
        return connection

    monkeypatch.setattr(lean._dialer, "dial", slow)
    async with ScriptedServer(ok) as server:
        sending = asyncio.create_task(lean.send(post(server), 5))
        await opened.wait()
        await lean.close()
        go_on.set()
        with pytest.raises(TransportError, match="the transport is closed"):
            await sending
        assert server.received == []


async def test_a_request_that_was_not_written_does_not_keep_its_socket(lean: LeanTransport) -> None:
    """The receiver reads nothing, so buffered data would wait forever."""
    async with ScriptedServer(ok, read_body=False) as server:

        async def stall(peer: Peer, received: Received) -> None:
            await asyncio.get_running_loop().create_future()

        server.script = stall
        big = post(server)._replace(body=b"x" * 30_000_000)
        assert await fault_of(lean, big, 0.1) is TransportFault.TIMEOUT
        await asyncio.wait_for(lean.close(), 5)


async def test_the_connection_freed_last_is_used_first() -> None:
    lean = make_lean(max_connections=3)
    gate = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        if len(server.received) <= 3:
            if len(server.received) == 3:
                gate.set()
            await gate.wait()
        await peer.answer()

    async with ScriptedServer(script) as server:
        await asyncio.gather(*(lean.send(post(server), 5) for _ in range(3)))
        for _ in range(6):
            await lean.send(post(server), 5)
        assert len({received.connection for received in server.received[3:]}) == 1
        await lean.close()


async def test_a_full_pool_evicts_a_free_connection_of_another_origin() -> None:
    lean = make_lean(max_connections=2)
    async with ScriptedServer(ok) as a, ScriptedServer(ok) as b, ScriptedServer(ok) as c:
        for server in (a, b, c, a, b, c):
            assert (await lean.send(post(server), 5)).status == 200
            assert lean._open <= 2
        await lean.close()


async def test_a_waiting_request_gets_the_slot_of_another_origin() -> None:
    lean = make_lean(max_connections=1)
    arrived, release = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        await release.wait()
        await peer.answer()

    async with ScriptedServer(script) as a, ScriptedServer(ok) as b:
        first = asyncio.create_task(lean.send(post(a), 5))
        await arrived.wait()
        second = asyncio.create_task(lean.send(post(b), 5))
        await asyncio.sleep(0)
        release.set()
        assert (await first).status == 200
        assert (await second).status == 200
        assert (len(a.received), len(b.received)) == (1, 1), "over a connection of its own origin"
        await lean.close()


async def test_no_slot_is_lost_when_requests_fail_time_out_or_are_cancelled() -> None:
    """After many requests that end in every way, all slots are available again."""
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
        tasks = [asyncio.create_task(lean.send(post(server), 0.05 * (i % 7))) for i in range(200)]
        for i, task in enumerate(tasks):
            if i % 5 == 0:
                await asyncio.sleep(0)
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                assert isinstance(result, TransportError | asyncio.CancelledError)
        server.script = ok
        answers = await asyncio.gather(*(lean.send(post(server), 5) for _ in range(30)))
        assert [answer.status for answer in answers] == [200] * 30
        assert lean._open == len(lean._joined) <= 3
        await lean.close()
    assert lean._open == 0
