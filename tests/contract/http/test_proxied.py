"""What a proxy gets, and what its own answers mean: bounded, named, and without its password."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.core.url import parse_url
from bridge.errors import TransportError, TransportFault
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.model import Request
from tests.support.forward_proxy import ForwardProxy
from tests.support.scripted_http import Peer, Received, Script, ScriptedServer
from tests.support.tls import TestAuthority
from tests.support.transports import LOOPBACK, ok, post, proxy_at

PASSWORD = "w0rd-in-the-proxy-url"
LOGIN = f"Basic {base64.b64encode(f'user:{PASSWORD}'.encode()).decode()}"
HTTPS = Request("POST", parse_url("https://crm.test/hooks"), (), b"{}")
HTTP = Request("POST", parse_url("http://crm.test/hooks/a%2Fb?c=d"), (), b"{}")


async def public(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Resolve every name to a public address, to which nothing here ever connects."""
    return [(2, 1, 6, "", ("1.1.1.1", port))]


async def loopback(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return [(2, 1, 6, "", ("127.0.0.1", port))]


def through(port: int, scheme: str = "http", **options: Any) -> LeanTransport:
    proxy = proxy_at(f"{scheme}://user:{PASSWORD}@127.0.0.1:{port}", options.pop("proxy_tls", None))
    return LeanTransport(EgressPolicy(LOOPBACK, public), 2, proxy=proxy, **options)


@asynccontextmanager
async def proxy_that(script: Script) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(script) as proxy:
        yield proxy


async def failure_of(
    port: int, request: Request = HTTPS, timeout_s: float = 10, **options: Any
) -> TransportError:
    """Send through the proxy at a port; return the error, which must show neither path nor password."""
    transport = through(port, **options)
    with pytest.raises(TransportError) as caught:
        await transport.send(request, timeout_s)
    await transport.close()
    text = str(caught.value)
    assert "hooks" not in text
    assert PASSWORD not in text
    assert LOGIN.partition(" ")[2] not in text
    return caught.value


def says(raw: bytes) -> Script:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(raw)
        await peer.closed_by_client()

    return script


async def test_an_http_request_goes_to_the_proxy_with_the_absolute_url() -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("202 Accepted")

    async with proxy_that(script) as proxy:
        transport = through(proxy.port)
        for _ in range(2):
            assert (await transport.send(HTTP, 5)).status == 202
        await transport.close()
    received = proxy.received[0]
    assert received.line == "POST http://crm.test/hooks/a%2Fb?c=d HTTP/1.1"
    assert received.headers["host"] == "crm.test"
    assert received.headers["proxy-authorization"] == LOGIN
    assert proxy.connections == 1


async def test_an_https_request_goes_through_a_tunnel_that_only_connect_gets_the_password_for(
    authority: TestAuthority,
) -> None:
    async with (
        ScriptedServer(ok, tls=authority.server_context()) as server,
        ForwardProxy(names={"receiver.test": "127.0.0.1"}, login=LOGIN) as proxy,
    ):
        transport = through(proxy.port, tls=authority.client_context())
        for _ in range(3):
            assert (await transport.send(post(server, scheme="https", host="receiver.test"), 5)).status == 200
        await transport.close()
        assert proxy.lines == [f"CONNECT receiver.test:{server.port} HTTP/1.1"], "the tunnel is kept"
    assert "proxy-authorization" not in server.received[0].headers
    assert server.received[0].line == "POST /hooks/a?b=c HTTP/1.1"


async def test_the_proxy_itself_may_be_reached_over_tls(authority: TestAuthority) -> None:
    """TLS in TLS, with one context for the proxy and another for the receiver."""
    async with (
        ScriptedServer(ok, tls=authority.server_context()) as server,
        ForwardProxy(names={"receiver.test": "127.0.0.1"}, tls=authority.server_context()) as proxy,
    ):
        secure = proxy_at(f"https://localhost:{proxy.port}", authority.client_context())
        egress = EgressPolicy(LOOPBACK, loopback)
        transport = LeanTransport(egress, 2, authority.client_context(), proxy=secure)
        for _ in range(2):
            assert (await transport.send(post(server, scheme="https", host="receiver.test"), 5)).status == 200
        await transport.close()
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("407 Proxy Authentication Required", "check the user and password in the endpoint's proxy setting"),
        ("403 Forbidden", "check that it allows this receiver"),
        ("502 Bad Gateway", "check that it allows this receiver"),
        ("302 Found", "check that it allows this receiver"),
        ("101 Switching Protocols", "check that it allows this receiver"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_a_connect_fault_with_its_status(
    status: str, remedy: str
) -> None:
    """Its page is not shown: proxies repeat the request in it, with the credentials."""

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer(status, received.raw_head, "location: http://127.0.0.1:1/\r\n")

    async with proxy_that(script) as proxy:
        failure = await failure_of(proxy.port)
    assert failure.fault is TransportFault.CONNECT
    assert f"the proxy http://127.0.0.1:{proxy.port} answered {status[:3]}" in failure.detail
    assert remedy in failure.detail
    assert [one.line for one in proxy.received] == ["CONNECT crm.test:443 HTTP/1.1"], (
        "asked once, no redirect"
    )


async def test_a_407_to_a_forwarded_request_is_the_proxys_and_parks_no_event() -> None:
    """The receiver never saw the request, so this is no answer of it."""

    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("407 Proxy Authentication Required", received.raw_head)

    async with proxy_that(script) as proxy:
        failure = await failure_of(proxy.port, HTTP)
    assert failure.fault is TransportFault.CONNECT
    assert "check the user and password" in failure.detail


@pytest.mark.parametrize(
    ("raw", "fault", "what"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", TransportFault.PROTOCOL, "did not answer in HTTP"),
        (b"\x15\x03\x01\x00\x02", TransportFault.PROTOCOL, "did not answer in HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", TransportFault.PROTOCOL, "did not answer in HTTP"),
        (b"HTTP/1.1 099 X\r\n\r\n", TransportFault.PROTOCOL, "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, TransportFault.PROTOCOL, "too many header bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000, TransportFault.PROTOCOL, "too many header bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 60_000, TransportFault.PROTOCOL, "too many header bytes"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            TransportFault.TLS,
            "data before the TLS handshake",
        ),
    ],
    ids=["ssh", "tls", "status", "low", "one-header", "many-headers", "interim", "surplus"],
)
async def test_an_answer_to_connect_that_is_not_one_is_named_and_bounded(
    raw: bytes, fault: TransportFault, what: str
) -> None:
    async with proxy_that(says(raw)) as proxy:
        failure = await failure_of(proxy.port)
    assert failure.fault is fault
    assert what in failure.detail


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_proxy_that_hangs_up_is_a_connect_fault(how: str) -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.write(b"HTTP/1.1 20")
        getattr(peer, how)()

    async with proxy_that(script) as proxy:
        failure = await failure_of(proxy.port)
    assert failure.fault is TransportFault.CONNECT
    assert f"the proxy http://127.0.0.1:{proxy.port} closed the connection" in failure.detail


async def test_a_proxy_that_never_answers_uses_the_time_to_connect_and_no_more() -> None:
    """It sends a byte now and then, which extends nothing."""
    closed = asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        drip = asyncio.create_task(peer.closed_by_client())
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
            await peer.write(bytes([byte]))
            await asyncio.wait([drip], timeout=0.02)
            if drip.done():
                break
        await drip
        closed.set()

    async with proxy_that(script) as proxy:
        failure = await failure_of(proxy.port, connect_timeout_s=0.4)
        await asyncio.wait_for(closed.wait(), 30)
    assert failure.fault is TransportFault.CONNECT
    assert "no answer within" in failure.detail
    assert "for https://crm.test:443" in failure.detail


async def test_a_tunnel_may_be_opened_after_interim_answers_and_with_a_length(
    authority: TestAuthority,
) -> None:
    """``Content-Length`` in a 2xx answer to CONNECT has no meaning (RFC 9110 9.3.6)."""
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 201\r\nContent-Length: 0\r\nX: y\r\n\r\n"

    async def script(peer: Peer, received: Received) -> None:
        for byte in raw:
            await peer.write(bytes([byte]))
        await peer.writer.start_tls(authority.server_context())
        await peer.reader.readuntil(b'{"a":1}')
        await peer.answer("203 X")

    async with proxy_that(script) as proxy:
        transport = through(proxy.port, tls=authority.client_context())
        request = post(443, scheme="https", host="receiver.test")
        assert (await transport.send(request, 5)).status == 203
        await transport.close()


async def test_a_cancelled_request_leaves_no_connection_to_the_proxy() -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer, received: Received) -> None:
        arrived.set()
        if await peer.closed_by_client():
            closed.set()

    async with proxy_that(script) as proxy:
        transport = through(proxy.port)
        task = asyncio.create_task(transport.send(HTTPS, 30))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 30)
        assert transport._open == 0
        await transport.close()


async def test_a_closed_port_of_the_proxy_is_named_as_the_proxys() -> None:
    async with ScriptedServer(ok) as server:
        port = server.port
    failure = await failure_of(port)
    assert failure.fault is TransportFault.CONNECT
    assert f"cannot connect to the proxy http://127.0.0.1:{port} at 127.0.0.1" in failure.detail
