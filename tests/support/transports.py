"""Transports that are allowed to connect to loopback, and requests for tests."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from bridge.core.url import parse_proxy, parse_url
from bridge.errors import TransportError, TransportFault
from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.http.proxy import Proxy
from bridge.model import Request
from tests.support.scripted_http import Peer, Received, ScriptedServer

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

MakeTransport = Callable[..., Transport]


def make_lean(
    max_connections: int = 4,
    max_body_bytes: int = 1000,
    tls: ssl.SSLContext | None = None,
    idle_s: float = 60.0,
    max_header_bytes: int = 65536,
    proxy: Proxy | None = None,
) -> LeanTransport:
    """Return a lean transport with a long idle time, so that no connection closes because of it."""
    return LeanTransport(
        EgressPolicy(LOOPBACK),
        max_connections,
        tls,
        idle_s=idle_s,
        max_body_bytes=max_body_bytes,
        max_header_bytes=max_header_bytes,
        proxy=proxy,
    )


def proxy_at(url: str, tls: ssl.SSLContext | None = None) -> Proxy:
    """Return the proxy with this URL, which may contain user and password."""
    return Proxy(*parse_proxy(url), tls)


def post(
    to: ScriptedServer | int,
    body: bytes = b'{"a":1}',
    path: str = "/hooks/a?b=c",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    method: str = "POST",
    scheme: str = "http",
    host: str = "127.0.0.1",
) -> Request:
    """Return a request to a server or a port."""
    port = to if isinstance(to, int) else to.port
    return Request(method, parse_url(f"{scheme}://{host}:{port}{path}"), headers, body)


async def ok(peer: Peer, received: Received) -> None:
    """Answer 200: the script of a receiver that accepts everything."""
    await peer.answer()


async def fault_of(transport: Transport, request: Request, timeout_s: float = 5.0) -> TransportFault:
    """Send a request that must fail; return its fault."""
    with pytest.raises(TransportError) as caught:
        await transport.send(request, timeout_s)
    assert "hooks" not in caught.value.detail, "a path is a secret"
    return caught.value.fault
