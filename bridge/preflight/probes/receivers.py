"""Try to reach the receiver of each endpoint: name, address, connection, TLS, end of the certificate.

Invariant: no HTTP request is sent, because a receiver could take any request for an event.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from bridge.errors import TransportError
from bridge.http.egress_policy import Address, EgressPolicy
from bridge.preflight.probes.finding import Finding, failed, ok, warning
from bridge.settings import EndpointSettings

_TIMEOUT_S = 5.0
_MOST_AT_ONCE = 16
_SOON_S = 30 * 86_400
"""A certificate that ends within this time is worth a warning."""


async def probe_receivers(
    endpoints: Mapping[str, EndpointSettings], policy: EgressPolicy, tls: ssl.SSLContext
) -> list[Finding]:
    """Try all endpoints, several at once; return what was found, in their order."""
    room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def probe(name: str, endpoint: EndpointSettings) -> list[Finding]:
        async with room:
            return await probe_receiver(f"endpoint {name}", endpoint, policy, tls)

    found = await asyncio.gather(*(probe(name, endpoint) for name, endpoint in endpoints.items()))
    return [finding for findings in found for finding in findings]


async def probe_receiver(
    part: str, endpoint: EndpointSettings, policy: EgressPolicy, tls: ssl.SSLContext
) -> list[Finding]:
    """Try one endpoint, or its proxy."""
    if endpoint.proxy is not None:
        parts = urlsplit(endpoint.proxy.get_secret_value())
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # the operator chose this host, and the proxy connects to the receiver: no policy applies
        return [await _connect(part, Address(parts.hostname or "", port), "", None, "the proxy ")]
    target = endpoint.target
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            addresses = await policy.resolve(target.host, target.port)
    except TransportError as exc:
        return [failed(part, exc.detail)]
    except TimeoutError:
        text = f"the name {target.host} is not resolved within {_TIMEOUT_S:g} s"
        return [failed(part, text, "check the DNS settings of this machine")]
    took_ms = (time.monotonic() - began) * 1000
    listed = ", ".join(address.host for address in addresses)
    named = [] if listed == target.host else [ok(part, f"{target.host} is {listed} (DNS: {took_ms:.0f} ms)")]
    context = tls if target.scheme == "https" else None
    return [*named, await _connect(part, addresses[0], target.host, context)]


async def _connect(
    part: str, address: Address, host: str, context: ssl.SSLContext | None, what: str = ""
) -> Finding:
    """Open and close one connection, with TLS if there is a context."""
    place = f"{what}{host or address.host}:{address.port}"
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                address.host, address.port, ssl=context, server_hostname=host if context else None
            )
    except ssl.SSLCertVerificationError as exc:
        text = f"the certificate of {place} is refused: {exc.verify_message}"
        remedy = "install a certificate that is valid for this name, or add its authority to this machine's"
        return failed(part, text, remedy)
    except ssl.SSLError as exc:
        reason = (exc.reason or "no TLS").replace("_", " ").lower()
        return failed(part, f"{place} does not speak TLS: {reason}", "correct the scheme or port of its url")
    except TimeoutError:
        return failed(part, f"{place} does not answer within {_TIMEOUT_S:g} s", _FIREWALL)
    except OSError as exc:
        return failed(part, f"cannot connect to {place}: {exc.strerror or exc}", _FIREWALL)
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    return next(_validity(part, place, certificate), ok(part, f"{place} accepts connections"))


_FIREWALL = "check that the receiver runs, and that a firewall lets this machine through"


def _validity(part: str, place: str, certificate: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield when the certificate ends, if it has an end."""
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return
    ends_s = ssl.cert_time_to_seconds(ends)
    left_s = ends_s - time.time()
    day = datetime.fromtimestamp(ends_s, UTC).date()
    text = f"{place} accepts TLS; its certificate ends on {day}, in {left_s / 86_400:.0f} days"
    if left_s < _SOON_S:
        yield warning(part, text, "have the receiver renew it")
    else:
        yield ok(part, text)
