"""An endpoint behind a proxy keeps its TLS and its login: both end at the receiver, not at the proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.endpoint_transports import endpoint_settings, endpoint_transport, hook
from tests.support.forward_proxy import ForwardProxy
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer
from tests.support.tls import TestAuthority


async def send(server: OAuthServer, proxy: ForwardProxy, files: dict[str, Path], **oauth2: Any) -> int:
    """Send one request through the proxy to a name that only ``server_name`` makes valid."""
    login = {
        "token_url": f"{server.origin}/token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "tls": files,
    } | oauth2
    endpoint = endpoint_settings(
        f"https://receiver.internal:{server.port}/hooks",
        auth={"oauth2": login},
        tls=files | {"server_name": "receiver.test"},
        proxy=f"http://127.0.0.1:{proxy.port}",
    )
    transport = endpoint_transport(endpoint)
    try:
        return (await transport.send(hook(endpoint), 30)).status
    finally:
        await transport.close()


@pytest.mark.parametrize("use_proxy", [True, False])
async def test_certificate_name_and_token_reach_the_receiver_through_the_tunnel(
    authority: TestAuthority, use_proxy: bool
) -> None:
    cert, key = authority.issue("behind-the-proxy")
    files = {"ca_file": authority.ca_file, "cert_file": cert, "key_file": key}
    names = {"receiver.internal": "127.0.0.1", "localhost": "127.0.0.1"}
    async with OAuthServer(authority.mutual_context()) as server, ForwardProxy(names=names) as proxy:
        assert await send(server, proxy, files, use_proxy=use_proxy) == 200
        tunnels = [f"CONNECT {name}:{server.port} HTTP/1.1" for name in ("localhost", "receiver.internal")]
        assert proxy.lines == (tunnels if use_proxy else tunnels[1:])
    assert server.clients == ["behind-the-proxy"]
