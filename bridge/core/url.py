"""Decide what a configured URL means: the host to connect to, and the target to request.

Invariant: what two parsers could read differently (credentials, backslashes, control characters, dot
segments, characters outside ASCII in the host) is refused, never guessed. An IPv4 address in an unusual
notation becomes the usual one. The egress policy, a proxy and the receiver must agree on the host.
"""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote, unquote_to_bytes

from bridge.core.addresses import is_this_machine, read_literal
from bridge.model import Url

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]")
_SHAPE = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<target>.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")  # "_": some names inside a cluster contain it
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_SAFE = "/?:@!$&'()*+,;=-._~%[]"  # RFC 3986 pchar and "?"; "[]" is widely used in queries
_PORTS = {"http": 80, "https": 443}


def parse_url(text: str) -> Url:
    """Return an absolute http or https URL, with the target percent-encoded.

    Raises ``ValueError``. Its text never shows the path, which may be a secret.
    """
    if _FORBIDDEN.search(text):
        raise ValueError("the URL contains a space, a control character or a backslash; percent-encode it")
    if "#" in text:
        raise ValueError('the URL has a fragment ("#"), which is never sent; remove it or write %23')
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError("the URL must begin with https:// or http:// and a host")
    scheme = match["scheme"].lower()
    if scheme not in _PORTS:
        raise ValueError(f"the URL's scheme is {scheme!r}; it must be https or http")
    if "@" in match["authority"]:
        raise ValueError('the URL has credentials before "@"; put them into an Authorization header')
    parts = _AUTHORITY.fullmatch(match["authority"])
    if parts is None:
        raise ValueError("the URL's host and port are ambiguous; write host:port or [ipv6]:port")
    return Url(scheme, _host(parts["host"]), _port(parts["port"], scheme), _target(match["target"]))


def is_in_clear(url: Url) -> bool:
    """Return True if requests to a URL cross a network without TLS: http, and not to this machine."""
    return url.scheme == "http" and not is_this_machine(url.host)


def parse_proxy(text: str) -> tuple[Url, bytes | None]:
    """Return the URL of a proxy, and the Basic credentials of its user and password, or None.

    Both may be percent-encoded. Raises ``ValueError``. Its text never shows them.
    """
    match = _SHAPE.fullmatch(text)
    login, at, authority = match["authority"].rpartition("@") if match is not None else ("", "", "")
    if match is None or not at:
        url = parse_url(text)
    elif _FORBIDDEN.search(login) or "#" in login:
        raise ValueError("the URL's user or password has a character with another meaning; percent-encode it")
    else:
        url = parse_url(f"{match['scheme']}://{authority}{match['target']}")
    if url.target != "/":
        raise ValueError("the URL of a proxy has a path or a query; remove it")
    if not at:
        return url, None
    user, _, password = login.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return url, b"Basic " + b64encode(pair)


def with_parameter(target: str, name: str, value: str) -> str:
    """Return a target with one more query parameter, percent-encoded."""
    joint = "" if target.endswith(("?", "&")) else "&" if "?" in target else "?"
    return f"{target}{joint}{quote(name, safe='')}={quote(value, safe='')}"


def _host(text: str) -> str:
    if not text:
        raise ValueError("the URL has no host")
    if text.startswith("["):
        try:
            address = IPv6Address(text[1:-1])
        except AddressValueError as exc:
            raise ValueError(f"the URL's host {text} is not an IPv6 address") from exc
        if address.scope_id:
            raise ValueError(f"the URL's host {text} has a zone, valid on one machine only; remove it")
        return address.compressed
    if not text.isascii():
        raise ValueError(f"the URL's host {text} has characters outside ASCII; write its xn-- form")
    host = text.lower()
    labels = host.removesuffix(".").split(".")  # a final dot makes the resolver skip its search list
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"the URL's host {text} is not a domain name")
    try:
        literal = read_literal(host)
    except ValueError as exc:
        raise ValueError(f"the URL's host {exc}; write the address as four decimal numbers") from exc
    return host if literal is None else str(literal)


def _port(text: str | None, scheme: str) -> int:
    if not text:
        return _PORTS[scheme]
    port = int(text) if len(text) < 6 else 0
    if not 0 < port < 65536:
        raise ValueError(f"the URL's port {text} is not between 1 and 65535")
    return port


def _target(text: str) -> str:
    """Return the target of the request line. Existing escapes are kept, forbidden characters escaped."""
    if not text.startswith("/"):
        text = f"/{text}"
    if _DOTS.search(text.partition("?")[0]):
        raise ValueError(
            'the URL\'s path contains a "." or ".." segment, which some clients resolve; resolve it'
        )
    return quote(_BARE_PERCENT.sub("%25", text), safe=_SAFE)
