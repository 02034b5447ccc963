"""An endpoint with OAuth 2 against a real OAuth 2 server (Authlib) over TLS, built by the wiring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import TransportError, TransportFault
from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.model import Request
from tests.support.endpoint_transports import endpoint_settings, endpoint_transport, hook
from tests.support.oauth_server import ASSERTION, CLIENT_ID, CLIENT_SECRET, SCOPE, OAuthServer
from tests.support.scripted_http import Peer, Received, ScriptedServer
from tests.support.tls import TestAuthority


class Endpoint:
    """The transport of an endpoint at the server, and requests to it."""

    def __init__(self, server: OAuthServer, authority: TestAuthority, **oauth2: Any) -> None:
        files = {"ca_file": authority.ca_file}
        login = {
            "token_url": f"{server.origin}/token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": SCOPE,
            "tls": files,
        } | oauth2
        settings = endpoint_settings(f"{server.origin}/hooks", auth={"oauth2": login}, tls=files)
        self.transport: Transport = endpoint_transport(settings)
        self.request: Request = hook(settings)

    async def send(self, timeout_s: float = 30.0) -> int:
        return (await self.transport.send(self.request, timeout_s)).status

    async def fault(self, timeout_s: float = 30.0) -> str:
        """Send a request for which there is no token; return the text of the fault."""
        with pytest.raises(TransportError) as caught:
            await self.transport.send(self.request, timeout_s)
        assert caught.value.fault is TransportFault.TOKEN
        assert CLIENT_SECRET not in str(caught.value)
        return str(caught.value)


@pytest.fixture
async def server(authority: TestAuthority) -> AsyncIterator[OAuthServer]:
    async with OAuthServer(authority.server_context()) as server:
        yield server


@pytest.fixture
async def endpoint(server: OAuthServer, authority: TestAuthority) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(server, authority)
    yield endpoint
    await endpoint.transport.close()


async def test_fifty_first_requests_share_one_token(server: OAuthServer, endpoint: Endpoint) -> None:
    assert await asyncio.gather(*(endpoint.send() for _ in range(50))) == [200] * 50
    assert server.token_requests == 1
    assert {text for _, text in server.hooks} == set(server.issued)


async def test_a_server_that_wants_the_secret_in_the_form_gets_it_there(
    server: OAuthServer, authority: TestAuthority
) -> None:
    server.auth_method = "client_secret_post"
    basic, form = Endpoint(server, authority), Endpoint(server, authority, auth_style="body")
    assert await form.send() == 200
    assert "(invalid_client); check client_id, client_secret and scope" in await basic.fault()
    for endpoint in (basic, form):
        await endpoint.transport.close()


async def test_a_wrong_client_secret_is_named_and_sends_no_event(
    server: OAuthServer, authority: TestAuthority
) -> None:
    endpoint = Endpoint(server, authority, client_secret="wrong-secret")
    text = await endpoint.fault()
    assert "endpoints.crm.auth.oauth2.token_url answered with status 401 (invalid_client)" in text
    assert "wrong-secret" not in text
    assert server.hooks == []
    await endpoint.transport.close()


async def test_a_client_may_log_in_with_its_key(
    server: OAuthServer, authority: TestAuthority, tmp_path: Path
) -> None:
    server.auth_method, server.key_type = ASSERTION, "EC"
    server.public_key = authority.key_file.read_text()  # the server uses the public half of it
    key = {"key_file": authority.key_file}
    style = {"auth_style": "private_key_jwt", "client_secret": None}
    endpoint = Endpoint(server, authority, **style, private_key=key)
    assert await endpoint.send() == 200
    other = Endpoint(server, authority, **style, private_key={"key_file": authority.issue("other")[1]})
    assert "(invalid_client)" in await other.fault()
    for each in (endpoint, other):
        await each.transport.close()


async def test_a_scope_that_the_server_does_not_know_is_named(
    server: OAuthServer, authority: TestAuthority
) -> None:
    endpoint = Endpoint(server, authority, scope="admin")
    assert "(invalid_scope)" in await endpoint.fault()
    await endpoint.transport.close()


async def test_an_expired_token_is_replaced_without_a_refusal(
    server: OAuthServer, endpoint: Endpoint
) -> None:
    server.lifetime_s = 2
    assert await endpoint.send() == 200
    (first,) = server.issued.values()
    while not first.is_expired():
        await asyncio.sleep(0.05)
    assert await endpoint.send() == 200
    assert server.token_requests == 2
    assert server.statuses == [200, 200]


async def test_a_revoked_token_is_renewed_once_for_all_requests_that_meet_the_refusal(
    server: OAuthServer, endpoint: Endpoint
) -> None:
    assert await endpoint.send() == 200
    for _ in range(2):
        server.revoke_all()
        assert await asyncio.gather(*(endpoint.send() for _ in range(30))) == [200] * 30
    assert server.token_requests == 3


async def test_an_outage_of_the_token_server_ends_with_the_first_request_after_it(
    server: OAuthServer, endpoint: Endpoint
) -> None:
    server.broken = web.Response(status=503, headers={"retry-after": "0"})
    assert (
        "answered with status 503; check the URL and that its server is available" in await endpoint.fault()
    )
    server.broken = None
    status = 0
    while not status:
        with suppress(TransportError):
            status = await endpoint.send()
        await asyncio.sleep(0.05)
    assert status == 200


async def test_a_slow_token_server_fails_the_attempt_in_time_and_serves_the_next(
    server: OAuthServer, endpoint: Endpoint
) -> None:
    server.gate.clear()
    assert "has not answered within 0.1 s" in await endpoint.fault(timeout_s=0.2)
    server.gate.set()
    assert await endpoint.send() == 200
    assert server.token_requests == 1


async def test_a_page_of_something_else_is_named(server: OAuthServer, endpoint: Endpoint) -> None:
    server.broken = web.Response(text=f"<html>{CLIENT_SECRET}</html>")
    assert "returned an answer that is not a JSON object" in await endpoint.fault()


async def test_an_endless_answer_is_cut_off_at_its_bound(authority: TestAuthority) -> None:
    """It was read whole before: 919 MB in one attack."""
    sent = 0

    async def endless(peer: Peer, received: Received) -> None:
        nonlocal sent
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + b'{"access_token":"')
        for _ in range(5000):
            await peer.write(b"x" * 65536)
            sent += 65536

    async with ScriptedServer(endless, tls=authority.server_context()) as tokens:
        login = {
            "token_url": f"https://localhost:{tokens.port}/token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "tls": {"ca_file": authority.ca_file},
        }
        settings = endpoint_settings("https://receiver.test/hooks", auth={"oauth2": login})
        transport = endpoint_transport(settings)
        with pytest.raises(TransportError, match="returned an answer of 64 KiB or more"):
            await transport.send(hook(settings), 30)
        await transport.close()
    assert sent < 32 << 20, "what the buffers of both sides hold"


async def test_the_egress_policy_applies_to_the_token_server(server: OAuthServer) -> None:
    login = {"token_url": f"{server.origin}/token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    settings = endpoint_settings("https://receiver.test/hooks", auth={"oauth2": login})
    transport = endpoint_transport(settings, EgressPolicy([]))
    with pytest.raises(TransportError, match=r"(127\.0\.0\.1|::1), which is not allowed .* egress\.allow"):
        await transport.send(hook(settings), 30)
    await transport.close()
    assert server.token_requests == 0


async def test_a_token_server_that_is_not_trusted_gets_no_secret(
    server: OAuthServer, authority: TestAuthority
) -> None:
    endpoint = Endpoint(server, authority, tls=None)
    assert "is not trusted" in await endpoint.fault()
    assert server.token_requests == 0
    await endpoint.transport.close()
