"""Decide which requests the admin port and the console accept.

A web page in an operator's browser can use neither of them.

A page can send requests to any address that the browser reaches. It can read an answer if its own host name
resolves to that address (DNS rebinding), and change something without reading the answer. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 9.2.1)."""
_MOST_SHOWN = 100


class Refusal(NamedTuple):
    """The status and the text of the answer to a request that is not accepted."""

    status: int
    text: str


class WebAccess:
    """Accepts requests that name a known host and, if they change something, come from no other site.

    An IP address is always known: a web page whose address is written out is not subject to rebinding.
    """

    def __init__(self, names: Iterable[str], setting: str) -> None:
        """``names``: host names of this port besides localhost, without port and in any case.

        ``setting`` is where an operator adds one.
        """
        self._names = frozenset(_plain(name) for name in names) | {"localhost"}
        self._setting = setting

    def check_host(self, host: str | None) -> Refusal | None:
        """Return why a request with this ``Host`` header is refused, or None. HTTP/1.0 may have no header."""
        if host is None or self._is_known(host):
            return None
        return Refusal(
            421,
            f"the host {_shown(host)} is not one of this port's;"
            f" use an IP address, or add the name to {self._setting}",
        )

    def check_change(
        self, method: str, host: str | None, origin: str | None, fetch_site: str | None
    ) -> Refusal | None:
        """Return why a request is refused whose method may change something, or None.

        ``origin`` and ``fetch_site`` are its headers ``Origin`` and ``Sec-Fetch-Site``. Browsers send at
        least one of them with every such request to another site, and other clients send neither.
        """
        if method in SAFE_METHODS or fetch_site in ("same-origin", "none"):
            return None
        if fetch_site is None and (origin is None or _netloc(origin) == _plain(host or "")):
            return None
        return Refusal(403, f"a page of {_shown(origin or 'another site')} must not change anything here")

    def _is_known(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or "]" in port or not port.isdecimal():
            name = host
        try:
            ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return _plain(name) in self._names
        return True


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _netloc(origin: str) -> str:
    try:
        return _plain(urlsplit(origin).netloc)
    except ValueError:
        return ""


def _shown(text: str) -> str:
    return ascii(text[:_MOST_SHOWN])
