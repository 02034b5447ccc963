"""Rules about where requests may go: addresses in URLs and proxies, ports, source addresses. Pure.

Only what a URL writes out is checked here. Names are resolved, and checked, on every dial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from pydantic_core import PydanticCustomError

from bridge.core.addresses import IpAddress, IpNetwork, read_literal, refusal
from bridge.core.url import parse_proxy, parse_url
from bridge.model import Url
from bridge.settings.models.base import LAST_PORT
from bridge.settings.models.request import plain_url
from bridge.settings.models.values import allowed_networks
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree


def check_addresses(tree: Tree) -> Iterator[Problem]:
    """Check that no URL and no proxy writes out an address that is refused when it is dialed."""
    allow = _networks(tree, "allow")
    proxies = [*allow, *_networks(tree, "proxies")]
    for name in tree.names(("endpoints",)):
        yield from _check_address(tree, ("endpoints", name, "url"), "allow", allow)
        yield from _check_address(tree, ("endpoints", name, "proxy"), "proxies", proxies)


def check_ports(tree: Tree) -> Iterator[Problem]:
    """Check that ``egress.ports``, if it is set, contains the port of every URL."""
    listed = tree.get(("egress", "ports"))
    ports = {str(port) for port in listed} if isinstance(listed, list) else set()
    if not ports or not all(map(_is_port, ports)):  # reported by the validation of the value itself
        return
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "url")
        url = _url(tree, path)
        if url is not None and str(url.port) not in ports:
            yield tree.problem(
                path, f"has the port {url.port}, which is not in egress.ports", f"add {url.port} to it"
            )


def check_source_addresses(tree: Tree) -> Iterator[Problem]:
    """Check that a source address has the family of the address that it connects to, if that is known."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "source_address")
        key = "proxy" if tree.has(("endpoints", name, "proxy")) else "url"
        url, source = _url(tree, ("endpoints", name, key)), _address(tree.text(path) or "")
        target = None if url is None else _address(url.host)
        if source is not None and target is not None and source.version != target.version:
            cause = f"is an IPv{source.version} address, and {key} is an IPv{target.version} address"
            yield tree.problem(path, cause, "write an address of the same kind, or remove it")


def _check_address(tree: Tree, path: Path, setting: str, allow: list[IpNetwork]) -> Iterator[Problem]:
    url = _url(tree, path)
    address = None if url is None else _address(url.host)
    reason = None if address is None else refusal(address, allow)
    if address is not None and reason is not None:
        network = f"{address}/{address.max_prefixlen}"
        yield tree.problem(
            path,
            f"has the address {address}, to which nothing is sent ({reason})",
            f"if it is intended, add {network} or its network to egress.{setting}",
        )


def _is_port(text: str) -> bool:
    return text.isdecimal() and len(text) <= 5 and 0 < int(text) <= LAST_PORT


def _networks(tree: Tree, key: str) -> list[IpNetwork]:
    return allowed_networks(text for _, text in tree.texts(("egress", key)))


def _url(tree: Tree, path: Path) -> Url | None:
    """Return the URL at a path; None if there is none, or an invalid one, which validation reports."""
    text = tree.text(path)
    if not text:
        return None
    try:
        return parse_proxy(text)[0] if path[-1] == "proxy" else parse_url(plain_url(text))
    except (ValueError, PydanticCustomError):
        return None


def _address(host: str) -> IpAddress | None:
    """Return the address that a host or a setting writes out, or None."""
    try:
        return ip_address(host) if ":" in host else read_literal(host)
    except ValueError:
        return None


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    check_addresses,
    check_ports,
    check_source_addresses,
)
