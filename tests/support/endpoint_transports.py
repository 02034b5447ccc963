"""Transports of endpoints as the wiring builds them, for receivers on loopback."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.tls import SystemTls
from bridge.model import Request
from bridge.settings import EndpointSettings
from bridge.wiring.endpoints import build_transport
from tests.support.transports import LOOPBACK


async def loopback_for_every_name(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Resolve as a server that has one address for all names."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def endpoint_settings(url: str, **settings: Any) -> EndpointSettings:
    return EndpointSettings.model_validate({"url": url, **settings})


def endpoint_transport(endpoint: EndpointSettings, egress: EgressPolicy | None = None) -> Transport:
    """Build the transport of an endpoint; every name leads to loopback, which is allowed."""
    egress = egress or EgressPolicy(LOOPBACK, loopback_for_every_name)
    return build_transport("crm", endpoint, egress, SystemTls())


def hook(endpoint: EndpointSettings) -> Request:
    """Return a request to the URL of an endpoint."""
    return Request("POST", endpoint.target, ((b"content-type", b"application/json"),), b"{}")
