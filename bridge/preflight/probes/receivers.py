"""Try to reach the receiver of each endpoint: name, address, proxy, connection, TLS, login, signing keys.

Invariant: no HTTP request is sent to a receiver or a proxy, because a receiver could take any request for an
event. A token server is asked for an access token, which changes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any

from bridge.core.signing.keys import active
from bridge.errors import ConfigError, TokenUnavailable, TransportError
from bridge.http.egress_policy import Address, EgressPolicy
from bridge.http.proxy import Proxy
from bridge.http.tls import ClientTls
from bridge.model import Url
from bridge.preflight.probes.finding import Finding, failed, ok, warning
from bridge.settings import EndpointSettings
from bridge.wiring.endpoints import build_endpoint_tls, build_login, build_proxy

_TIMEOUT_S = 5.0
_MOST_AT_ONCE = 16
_SOON_S = 30 * 86_400
"""A certificate or a last signing key that ends within this time is worth a warning."""


async def probe_receivers(
    endpoints: Mapping[str, EndpointSettings], egress: EgressPolicy, system: ClientTls
) -> list[Finding]:
    """Try all endpoints, several at once; return what was found, in their order."""
    room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def probe(name: str, endpoint: EndpointSettings) -> list[Finding]:
        async with room:
            return await _probe(name, endpoint, egress, system)

    found = await asyncio.gather(*(probe(name, endpoint) for name, endpoint in endpoints.items()))
    return [finding for findings in found for finding in findings]


async def _probe(
    name: str, endpoint: EndpointSettings, egress: EgressPolicy, system: ClientTls
) -> list[Finding]:
    """Try one endpoint: its keys, its receiver or its proxy, and its token server."""
    part = f"endpoint {name}"
    found = [*judge_keys(part, endpoint, time.time())]
    try:
        tls = build_endpoint_tls(name, endpoint, system)
        proxy = build_proxy(endpoint, system)
    except ConfigError as exc:
        return [*found, *(failed(part, problem) for problem in exc.problems)]
    if proxy is not None:
        found += await _probe_proxy(part, endpoint.target, proxy, egress, system)
    else:
        found += await _probe_server(part, endpoint.target, egress.resolve, tls)
    return [*found, *await _probe_login(part, name, endpoint, egress, system)]


def judge_keys(part: str, endpoint: EndpointSettings, now_s: float) -> Iterator[Finding]:
    """Yield which key signs, and a warning if the last one ends soon."""
    keys = endpoint.signing_keys
    if not keys:
        return
    current, last_s = active(keys, now_s).keys[0], max(key.until_s for key in keys)
    text = f"requests are signed with {len(keys)} key{'s' if len(keys) > 1 else ''}, now with {current.name}"
    if last_s == inf or last_s - now_s >= _SOON_S:
        yield ok(part, text)
        return
    day = datetime.fromtimestamp(last_s, UTC).date()
    name = part.removeprefix("endpoint ")
    yield warning(part, f"{text}; the last key ends on {day}", f"hookferry keys rotate {name}")


async def _probe_login(
    part: str, name: str, endpoint: EndpointSettings, egress: EgressPolicy, system: ClientTls
) -> list[Finding]:
    """Fetch an access token, if the endpoint logs in with one."""
    try:
        client = build_login(name, endpoint, egress, system)
        if client is None:
            return []
        await client.fetch()
    except ConfigError as exc:
        return [failed(part, problem) for problem in exc.problems]
    except TokenUnavailable as exc:
        return [failed(part, f"no access token: {exc.cause}", exc.remedy)]
    return [ok(part, "the token server issues an access token")]


async def _probe_proxy(
    part: str, target: Url, proxy: Proxy, egress: EgressPolicy, system: ClientTls
) -> list[Finding]:
    """Check the receiver as a request through the proxy does, and connect to the proxy."""
    try:
        await egress.check_proxied(target.host, target.port, _TIMEOUT_S)
    except TransportError as exc:
        return [failed(part, exc.detail)]
    return await _probe_server(part, proxy.url, egress.resolve_proxy, system, "the proxy ")


async def _probe_server(
    part: str,
    target: Url,
    resolve: Callable[[str, int], Awaitable[list[Address]]],
    tls: ClientTls,
    what: str = "",
) -> list[Finding]:
    """Resolve the name of a server under the address policy, and connect."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            addresses = await resolve(target.host, target.port)
    except TransportError as exc:
        return [failed(part, exc.detail)]
    except TimeoutError:
        text = f"the name {target.host} is not resolved within {_TIMEOUT_S:g} s"
        return [failed(part, text, "check the DNS settings of this machine")]
    took_ms = (time.monotonic() - began) * 1000
    listed = ", ".join(address.host for address in addresses)
    named = [] if listed == target.host else [ok(part, f"{target.host} is {listed} (DNS: {took_ms:.0f} ms)")]
    context = tls.current() if target.scheme == "https" else None
    place = f"{what}{target.host}:{target.port}"
    return [*named, await _connect(part, addresses[0], place, context, tls.server_name or target.host)]


async def _connect(
    part: str, address: Address, place: str, context: ssl.SSLContext | None, server_name: str
) -> Finding:
    """Open and close one connection, with TLS if there is a context."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                address.host, address.port, ssl=context, server_hostname=server_name if context else None
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
