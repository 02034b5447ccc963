"""Transports that may dial loopback, as the tests want them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from ipaddress import ip_network

import httpx

from bridge.egress import Egress
from bridge.transport import Transport
from bridge.transport.httpx_transport import HttpxTransport
from bridge.transport.lean import LeanTransport

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

MakeTransport = Callable[..., Transport]


def make_lean(
    max_connections: int = 4,
    max_body_bytes: int = 1000,
    tls: ssl.SSLContext | None = None,
    idle_s: float = 60.0,
    max_header_bytes: int = 65536,
) -> LeanTransport:
    """Idleness is long: a connection that goes in these tests goes for another reason."""
    return LeanTransport(
        Egress(LOOPBACK),
        max_connections,
        tls,
        idle_s=idle_s,
        max_body_bytes=max_body_bytes,
        max_header_bytes=max_header_bytes,
    )


def make_httpx(
    max_connections: int = 4, max_body_bytes: int = 1000, tls: ssl.SSLContext | None = None
) -> HttpxTransport:
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    inner = httpx.AsyncHTTPTransport(verify=tls or False, trust_env=False, limits=limits)
    return HttpxTransport(inner, max_body_bytes)
