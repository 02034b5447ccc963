"""The httpx transport through a proxy, which resolves the name and opens the connection."""

from __future__ import annotations

import pytest

from bridge.core.url import parse_url
from bridge.errors import TransportError, TransportFault
from bridge.http.httpx_transport import build_proxied_transport
from bridge.model import Request
from tests.support.scripted_http import Peer, Received, ScriptedServer


async def test_an_http_request_goes_to_the_proxy_with_the_absolute_url() -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("202 Accepted")

    async with ScriptedServer(script) as proxy:
        transport = build_proxied_transport(f"http://user:word@127.0.0.1:{proxy.port}", 2)
        request = Request("POST", parse_url("http://nobody.invalid/a%2Fb?c=d"), (), b"{}")
        assert (await transport.send(request, 5)).status == 202
        await transport.close()
    received = proxy.received[0]
    assert received.line == "POST http://nobody.invalid/a%2Fb?c=d HTTP/1.1"
    assert received.headers["host"] == "nobody.invalid"
    assert received.headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"


async def test_a_proxy_that_refuses_the_tunnel_is_a_connect_fault() -> None:
    async def script(peer: Peer, received: Received) -> None:
        await peer.answer("403 Forbidden", b"")

    async with ScriptedServer(script) as proxy:
        transport = build_proxied_transport(f"http://127.0.0.1:{proxy.port}", 2)
        request = Request("POST", parse_url("https://nobody.invalid/hooks"), (), b"{}")
        with pytest.raises(TransportError) as caught:
            await transport.send(request, 5)
        await transport.close()
    assert caught.value.fault is TransportFault.CONNECT
    assert "hooks" not in caught.value.detail
    assert proxy.received[0].line == "CONNECT nobody.invalid:443 HTTP/1.1"
