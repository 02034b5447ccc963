"""Decide which addresses may be dialed, and read an address in any notation. Pure.

Invariant: an address that embeds another one is judged by the one that a connection would reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

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
_PRIVATE_DOMAINS = (".localhost", ".local", ".internal", ".home.arpa")  # RFC 6761, 6762, 8375; ICANN 2024
_HEX_DIGITS = frozenset("0123456789abcdef")


def is_this_machine(host: str) -> bool:
    """Return True for ``localhost`` and loopback addresses. ``host`` is without brackets."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a mapped, translated, NAT64 or 6to4 address leads to, or None."""
    if any(address in network for network in _LOW_32_BITS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return None


def refusal(ip: IpAddress, allow: Iterable[IpNetwork]) -> str | None:
    """Return why ``ip`` must not be dialed, or None. ``allow`` overrides the built-in networks.

    ``allow`` is compared with the address itself and with the one that it embeds.
    """
    bare = IPv6Address(int(ip)) if ip.version == 6 else ip  # networks have no scope id
    if any(bare in network for network in allow):
        return None
    if isinstance(bare, IPv6Address) and (inner := embedded_ipv4(bare)) is not None:
        reason = refusal(inner, allow)
        return reason and f"it leads to {inner}: {reason}"
    for network, what in _DENIED:
        if bare in network:
            return what
    if bare.version == 6 and bare not in _GLOBAL_UNICAST:
        return "not global unicast"
    return None


def read_literal(host: str) -> IpAddress | None:
    """Return the address that ``host`` writes out, in any notation; None if it is a name.

    A host whose last label is a number is never a name (WHATWG URL, "ends in a number"). It is read
    as ``inet_aton`` reads it: one to four numbers, each decimal, octal (``0177``) or hexadecimal
    (``0x7f``), and the last one fills the remaining bytes. Raises ``ValueError`` if that is impossible.
    """
    if ":" in host:
        try:
            return IPv6Address(host)
        except AddressValueError as exc:
            raise ValueError(f"{host} is not an IPv6 address") from exc
    labels = host.lower().removesuffix(".").split(".")
    if not _is_number(labels[-1]):
        return None
    if len(labels) > 4 or not all(map(_is_number, labels)):
        raise ValueError(f"{host} ends in a number, but is not an IPv4 address")
    try:
        *first, last = (_number(label) for label in labels)
    except ValueError:  # 08 is not an octal number
        raise ValueError(f"{host} ends in a number, but is not an IPv4 address") from None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        raise ValueError(f"{host} ends in a number, but is not an IPv4 address")
    return IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(first)) + last)


def is_loopback(host: str) -> bool:
    """Return True if only this machine reaches a host: ``localhost``, or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def is_public_name(host: str) -> bool:
    """Return False for a name that no public receiver can have: one label, or a domain for private use."""
    name = host.lower().removesuffix(".")
    return "." in name and not name.endswith(_PRIVATE_DOMAINS)


def _is_number(label: str) -> bool:
    """Return True for digits, also those of an invalid octal number, and for ``0x`` with hex digits."""
    return (label.isascii() and label.isdigit()) or (
        label.startswith("0x") and _HEX_DIGITS.issuperset(label[2:])
    )


def _number(label: str) -> int:
    """Return the value of a label. Raises ``ValueError`` for ``08``, which is no octal number."""
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if label.startswith("0") else 10)
