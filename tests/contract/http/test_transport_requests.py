"""Every transport sends a request unchanged or not at all."""

from __future__ import annotations

import pytest

from bridge import __version__
from bridge.errors import TransportFault
from bridge.http import Transport
from bridge.model import Response
from tests.support.scripted_http import ScriptedServer
from tests.support.transports import fault_of, ok, post


async def test_a_request_arrives_unchanged(transport: Transport) -> None:
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
async def test_any_method_may_have_a_body_and_gets_its_own_answer(transport: Transport, method: str) -> None:
    """All over one connection, to a URL that changes with every request, like templated ones."""
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
async def test_an_empty_body_has_a_length_if_the_method_usually_has_a_body(
    transport: Transport, method: str, length: str | None
) -> None:
    async with ScriptedServer(ok) as server:
        await transport.send(post(server, b"", method=method), 5)
    assert server.received[0].headers.get("content-length") == length


async def test_escapes_in_the_target_are_not_escaped_again(transport: Transport) -> None:
    async with ScriptedServer(ok) as server:
        await transport.send(post(server, path="/a%2Fb/%7Ex//c;e?d=%20e&f[]=g+h"), 5)
    assert server.received[0].line == "POST /a%2Fb/%7Ex//c;e?d=%20e&f[]=g+h HTTP/1.1"


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
