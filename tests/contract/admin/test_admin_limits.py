"""Clients of the admin port that send half requests, too much, too slowly, or nothing: all are bounded."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.app.admin_connection import AdminConnection, AdminLimits
from bridge.app.admin_listener import limits_of_process
from bridge.app.admin_server import AdminServer
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.admin_clients import Client, ask, connect
from tests.support.ports import free_port

PATIENT = AdminLimits(8, idle_s=600, write_s=600, handle_s=600)
QUICK = AdminLimits(8, idle_s=0.3, write_s=0.6, handle_s=0.6)


@asynccontextmanager
async def serving(limits: AdminLimits = PATIENT) -> AsyncIterator[int]:
    port = free_port()
    server = AdminServer(
        "127.0.0.1", port, Metrics().registry, lambda: (True, "assigned"), dict, client_limits=limits
    )
    await server.start()
    try:
        yield port
    finally:
        await server.stop()


async def is_ready(port: int) -> bool:
    return (await ask(port, "/readyz")).startswith(b"HTTP/1.1 200 OK")


async def test_half_requests_leave_room_for_a_probe() -> None:
    """A hundred clients begin a request and wait; a probe that comes last is answered at once."""
    async with serving() as port:
        with capture_logs() as lines:
            halves = [await connect(port) for _ in range(100)]
            for half in halves:
                half.writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
            for _ in range(3):
                assert await is_ready(port)
        for half in halves:
            half.close()
    limited = [line for line in lines if line["event"] == events.ADMIN_LIMITED]
    assert [(line["reason"], line["limit"]) for line in limited] == [("too many connections", 8)]


async def test_idle_connections_give_way_too_the_one_that_was_used_last_comes_last() -> None:
    async with serving() as port:
        kept = [await connect(port) for _ in range(8)]
        for client in [*kept[1:], kept[0]]:
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b"alive" in await client.answer()
        assert await is_ready(port)
        assert await kept[1].rest() == b"", "it had waited longest"
        await kept[0].send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"alive" in await kept[0].answer()
        for client in kept:
            client.close()


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nx",
    ],
    ids=["nothing", "half-head", "idle", "half-body"],
)
async def test_a_client_that_sends_nothing_more_is_disconnected(begin: bytes) -> None:
    async with serving(QUICK) as port:
        client = await connect(port)
        await client.send(begin)
        await asyncio.wait_for(client.rest(), 60)
        client.close()


async def test_a_head_that_drips_does_not_extend_the_time() -> None:
    async with serving(QUICK) as port:
        client = await connect(port)
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")

        async def drip() -> None:
            while True:
                await client.send(b"y")
                await asyncio.sleep(0.01)  # the interval of the drip, not a wait for a condition

        task = asyncio.create_task(drip())
        await asyncio.wait_for(client.rest(), 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        client.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 1_000_000,
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 100_000,
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 100 + b"\r\n",
        b"GET /" + b"y" * 1_000_000,
        b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n\r\n" + b"y" * 1_000_000,
        b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\ny\r\n" * 90_000,
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    ],
    ids=["long-header", "many-headers", "large-headers", "long-line", "long-body", "chunks", "ssh", "tls"],
)
async def test_a_request_that_is_too_large_or_none_is_answered_or_cut_off(
    head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a line in the log for each, and without a version in the answer."""
    async with serving() as port:
        with capture_logs() as lines:
            for _ in range(3):
                client = await connect(port)
                sending = asyncio.create_task(client.send(head))
                answer = await asyncio.wait_for(client.rest(), 60)
                client.close()
                await asyncio.gather(sending, return_exceptions=True)
                assert b"Python" not in answer
                assert b"aiohttp" not in answer
                assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
        assert await is_ready(port)
    assert [line["event"] for line in lines] in ([], [events.ADMIN_LIMITED])
    assert caplog.records == []


async def test_an_answer_that_is_not_read_is_cut_off() -> None:
    """The client asks for more than fits into the buffers, and reads nothing of it."""
    async with serving(QUICK) as port:
        client = await connect(port)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0
        try:
            while sent < 100_000:
                await asyncio.wait_for(
                    client.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50), 5
                )
                sent += 50
        except (ConnectionError, TimeoutError):
            pass
        assert sent < 100_000
        async with asyncio.timeout(60):
            while not client.writer.transport.is_closing():  # once the server has reset the connection
                await asyncio.sleep(0.02)
        client.close()
        assert await is_ready(port)


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with serving() as port:
        client = await connect(port)
        one = b"GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        await client.send(b"".join(one % path for path in (b"healthz", b"readyz", b"nowhere", b"healthz")))
        answers = [await client.answer() for _ in range(4)]
        assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [
            b"alive\n",
            b"assigned\n",
            b"404: Not Found",
            b"alive\n",
        ]
        client.close()


async def test_without_descriptors_the_port_waits_and_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    accept, tries, missing = loop.sock_accept, 0, True

    async def fails_at_first(listener: socket.socket) -> Any:
        nonlocal tries
        tries += 1
        if missing:
            raise OSError(errno.EMFILE, "Too many open files")
        return await accept(listener)

    class Loop:
        """The running loop, except for ``sock_accept``: uvloop's methods cannot be replaced."""

        sock_accept = staticmethod(fails_at_first)

        def __getattr__(self, name: str) -> Any:
            return getattr(loop, name)

    class Asyncio:
        """The module, as the listener uses it."""

        get_running_loop = Loop

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

    def connection(server: Any, _: Any, *rest: Any) -> AdminConnection:
        return AdminConnection(server, loop, *rest)

    monkeypatch.setattr("bridge.app.admin_listener.asyncio", Asyncio())
    monkeypatch.setattr("bridge.app.admin_listener.AdminConnection", connection)
    with capture_logs() as lines:
        async with serving() as port:
            for _ in range(1000):
                await asyncio.sleep(0)
            assert tries < 100, "it pauses after each"
            missing = False
            assert await is_ready(port)
    (limited,) = [line for line in lines if line["event"] == events.ADMIN_LIMITED]
    assert limited["reason"] == "no connection can be accepted: Too many open files"


@pytest.mark.parametrize(("descriptors", "connections"), [(16, 4), (64, 8), (160, 20), (1024, 64), (-1, 64)])
def test_the_port_uses_at_most_an_eighth_of_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, connections: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda what: (descriptors, descriptors))
    assert limits_of_process().connections == connections


async def test_the_connections_are_closed_when_the_port_is() -> None:
    clients: list[Client] = []
    async with serving() as port:
        for begin in (b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            clients.append(await connect(port))
            await clients[-1].send(begin)
        assert b"alive" in await clients[-1].answer()
    for client in clients:
        assert await asyncio.wait_for(client.rest(), 60) == b""
        client.close()
