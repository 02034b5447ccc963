"""The address policy: which addresses the product may connect to, and name resolution under that policy.

The person who writes a webhook URL may not be the operator, so a URL must not open a way into the
network of the bridge. The policy checks the addresses that a name *resolves to*, on every dial, and
the dial uses a checked address. Checking only the URL would allow DNS rebinding and unusual spellings
of an address (``127.1``, ``0x7f000001``), which the resolver converts to normal ones.
The only I/O is the name lookup.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from bridge.errors import TransportError, TransportFault
from bridge.http.resolver import NameResolver

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[tuple[Any, ...]]]]
"""Resolves ``(host, port)`` to rows like those of ``getaddrinfo``."""

# IANA special-purpose registries (RFC 6890 and later entries): no public receiver has such an address.
_DENIED: tuple[tuple[IpNetwork, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud platform's host agent"),  # Azure; formally a public address
        ("169.254.0.0/16", "link-local, which includes cloud metadata services"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "IETF protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
        ("::/128", "this host"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "a local NAT64 prefix"),
        ("100::/64", "discard only"),
        ("2001::/23", "IETF protocol assignments"),  # includes Teredo, which embeds an IPv4 address
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA assigns; the rest of IPv6 is not public
_LOW_32_BITS = (  # networks whose last 32 bits are the IPv4 address that is reached
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped: the kernel uses IPv4
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated, RFC 7915
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
)
_SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056: bits 16 to 47


class Address(NamedTuple):
    """One checked address: dialed literally, never resolved again."""

    host: str
    port: int


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a mapped, translated, NAT64 or 6to4 address leads to, or None."""
    if any(address in network for network in _LOW_32_BITS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return None


class EgressPolicy:
    """Allows connections to public addresses and to the networks that the operator lists.

    The operator's list overrides the built-in one, so ``127.0.0.0/8`` can be allowed in a test setup.
    An address that embeds an IPv4 address is judged by that one, unless the operator lists the outer
    address itself.
    """

    def __init__(self, allow: Sequence[IpNetwork], getaddrinfo: Resolver | None = None) -> None:
        """Without ``getaddrinfo`` the policy has a resolver of its own, shared by all that use the policy."""
        self._allow = tuple(allow)
        self._getaddrinfo = getaddrinfo or NameResolver().lookup

    def check(self, address: IpAddress | str, host: str = "") -> None:
        """Raise ``TransportError`` (``refused_address``) with the remedy if ``address`` is not allowed.

        ``host`` is the name to show in the message.
        """
        ip = ip_address(address) if isinstance(address, str) else address
        reason = self._refusal(ip)
        if reason is None:
            return
        named = f"{host} has the address {ip}" if host and host != str(ip) else f"the address {ip}"
        network = f"{ip}/{ip.max_prefixlen}".replace(f"%{getattr(ip, 'scope_id', None)}", "")
        raise TransportError(
            TransportFault.REFUSED_ADDRESS,
            f"{named}, which is not allowed ({reason}); if this receiver is intended, "
            f"add {network} or its network to egress.allow",
        )

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Return the addresses of ``host`` in the resolver's order, all allowed, without duplicates.

        One forbidden address refuses the whole name: the result must not depend on which one is dialed.
        Raises ``TransportError``: ``connect`` if there is no address, ``refused_address`` as above.
        """
        try:
            rows = await self._getaddrinfo(host, port)
        except (OSError, UnicodeError) as exc:  # UnicodeError: a label that is empty or too long
            raise TransportError(
                TransportFault.CONNECT,
                f"cannot resolve the name {host}: {_reason(exc)}; "
                "check the host in the endpoint's url and the DNS settings of this machine",
            ) from exc
        addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        if not addresses:
            raise TransportError(TransportFault.CONNECT, f"the name {host} has no address")
        for address in addresses:
            self.check(address, host)
        return [Address(address, port) for address in addresses]

    def _refusal(self, ip: IpAddress) -> str | None:
        """Return why ``ip`` is refused, or None."""
        bare = IPv6Address(int(ip)) if ip.version == 6 else ip  # networks have no scope id
        if any(bare in network for network in self._allow):
            return None
        if isinstance(bare, IPv6Address) and (inner := embedded_ipv4(bare)) is not None:
            reason = self._refusal(inner)
            return reason and f"it leads to {inner}: {reason}"
        for network, what in _DENIED:
            if bare in network:
                return what
        if bare.version == 6 and bare not in _GLOBAL_UNICAST:
            return "not global unicast"
        return None


def _reason(exc: Exception) -> str:
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
