"""The address policy: which addresses the product may connect to, and name resolution under that policy.

The person who writes a webhook URL may not be the operator, so a URL must not open a way into the
network of the bridge. The policy checks the addresses that a name *resolves to*, on every dial, and
the dial uses a checked address. Checking only the URL would allow DNS rebinding.
The only I/O is the name lookup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Literal, NamedTuple

from bridge.core.addresses import IpAddress, IpNetwork, is_public_name, read_literal, refusal
from bridge.errors import TransportError, TransportFault
from bridge.http.resolver import NameResolver

Resolver = Callable[[str, int], Awaitable[Sequence[tuple[Any, ...]]]]
"""Resolves ``(host, port)`` to rows like those of ``getaddrinfo``."""


class Address(NamedTuple):
    """One checked address: dialed literally, never resolved again."""

    host: str
    port: int


class EgressPolicy:
    """Allows connections to public addresses and to the networks that the operator lists.

    The operator's list overrides the built-in one, so ``127.0.0.0/8`` can be allowed in a test setup.
    An address that embeds an IPv4 address is judged by that one, unless the operator lists the outer
    address itself. Proxies have a list of their own: one that is allowed as a proxy is not a receiver.
    """

    def __init__(
        self,
        allow: Sequence[IpNetwork],
        getaddrinfo: Resolver | None = None,
        *,
        proxies: Sequence[IpNetwork] = (),
        ports: Sequence[int] = (),
        unresolved: Literal["refuse", "proxy"] = "refuse",
    ) -> None:
        """Without ``getaddrinfo`` the policy has a resolver of its own, shared by all that use the policy.

        ``ports``: the only ports of receivers; empty for all. ``unresolved``: what happens with a proxy
        to the name of a receiver that cannot be resolved here.
        """
        self._allow = tuple(allow)
        self._proxies = (*allow, *proxies)
        self._ports = frozenset(ports)
        self._unresolved = unresolved
        self._getaddrinfo = getaddrinfo or NameResolver().lookup

    def check(self, address: IpAddress | str, host: str = "") -> None:
        """Raise ``TransportError`` (``refused_address``) with the remedy if ``address`` is not allowed.

        ``host`` is the name to show in the message.
        """
        if (failure := _refused(address, host, self._allow, "egress.allow", "receiver")) is not None:
            raise failure

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a receiver in the resolver's order, all allowed, without duplicates.

        One forbidden address refuses the whole name: the result must not depend on which one is dialed.
        Raises ``TransportError``: ``connect`` if there is no address, ``refused_address`` as above.
        """
        self._check_port(host, port)
        addresses = await self._look_up(host, port, "the endpoint's url")
        for address in addresses:
            self.check(address.host, host)
        return addresses

    async def resolve_proxy(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a proxy, all allowed for proxies. Raises like ``resolve``."""
        addresses = await self._look_up(host, port, "the endpoint's proxy")
        for address in addresses:
            if failure := _refused(address.host, host, self._proxies, "egress.proxies", "proxy"):
                raise failure
        return addresses

    async def check_proxied(self, host: str, port: int, timeout_s: float) -> None:
        """Check a receiver that a proxy connects to: its port, its literal, and its name as resolved here.

        A proxy may resolve the name to another address: this check cannot prevent that. A public name that
        cannot be resolved here within ``timeout_s`` is left to the proxy if the operator chose so.
        Raises like ``resolve``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self.resolve(host, port)
            return
        except TimeoutError:
            cause = f"cannot resolve the name {host}: no answer within {timeout_s:.1f} s"
        except TransportError as exc:
            if exc.fault is not TransportFault.CONNECT:
                raise
            cause = exc.detail
        if self._unresolved == "proxy" and not is_public_name(host):
            raise TransportError(
                TransportFault.REFUSED_ADDRESS,
                f"{cause}; it is no public name, so egress.unresolved does not leave it to the proxy: make it"
                " resolvable here (DNS or /etc/hosts), and add its address to egress.allow",
            )
        if self._unresolved != "proxy":
            raise TransportError(
                TransportFault.CONNECT,
                f"{cause}; with a proxy too, receivers are checked here: if only the proxy can resolve"
                " this name, set egress.unresolved: proxy",
            )

    def _check_port(self, host: str, port: int) -> None:
        if self._ports and port not in self._ports:
            raise TransportError(
                TransportFault.REFUSED_ADDRESS,
                f"the port {port} of {host} is not allowed (egress.ports lists"
                f" {', '.join(map(str, sorted(self._ports)))}); if this receiver is intended, add {port} to"
                " egress.ports",
            )

    async def _look_up(self, host: str, port: int, setting: str) -> list[Address]:
        """Return the address that ``host`` writes out, or those that the name has now, unchecked."""
        literal = _literal(host)
        if literal is not None:
            return [Address(str(literal), port)]
        try:
            rows = await self._getaddrinfo(host, port)
        except (OSError, UnicodeError) as exc:  # UnicodeError: a label that is empty or too long
            raise TransportError(
                TransportFault.CONNECT,
                f"cannot resolve the name {host}: {_reason(exc)}; "
                f"check the host in {setting} and the DNS settings of this machine",
            ) from exc
        addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        if not addresses:
            raise TransportError(TransportFault.CONNECT, f"the name {host} has no address")
        return [Address(address, port) for address in addresses]


def _literal(host: str) -> IpAddress | None:
    """Return the address that ``host`` writes out. Raises ``TransportError`` for an impossible one."""
    with suppress(ValueError):
        return ip_address(host)  # the usual notations, also with a zone
    try:
        return read_literal(host)
    except ValueError as exc:
        raise TransportError(
            TransportFault.REFUSED_ADDRESS, f"the host {exc}; write the address as four decimal numbers"
        ) from exc


def _refused(
    address: IpAddress | str, host: str, allow: Sequence[IpNetwork], setting: str, kind: str
) -> TransportError | None:
    """Return the error for an address that is not allowed, else None."""
    ip = ip_address(address) if isinstance(address, str) else address
    reason = refusal(ip, allow)
    if reason is None:
        return None
    named = f"{host} has the address {ip}" if host and host != str(ip) else f"the address {ip}"
    network = f"{ip}/{ip.max_prefixlen}".replace(f"%{getattr(ip, 'scope_id', None)}", "")
    return TransportError(
        TransportFault.REFUSED_ADDRESS,
        f"{named}, which is not allowed ({reason}); if this {kind} is intended, "
        f"add {network} or its network to {setting}",
    )


def _reason(exc: Exception) -> str:
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
