"""Write a request as bytes: request line, headers and body in one piece.

This runs once per attempt. So the constant parts of the requests to one URL are built once, and header
values are checked as one block instead of one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bridge import __version__
from bridge.http.proxy import Proxy
from bridge.model import Url

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_USER_AGENT = b"user-agent: hookferry/" + __version__.encode() + b"\r\n"
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})  # RFC 9110 8.6: also when there is no body
_LF, _CR, _NUL = b"\n\r\0"
"""Numbers: to look for a byte as a number takes a tenth of the time that it takes as ``bytes``."""
_MAX_TEMPLATES = 16  # header names come from the configuration: one or two sets; this bounds a mistake

OWN_HEADERS = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"expect",
    }
)
"""Names (lower case) that control message framing and the connection: the caller must not set them."""


def check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise ``ValueError`` for a header that would break, or break out of, the request's head."""
    check_names([name for name, _ in headers])
    for name, value in headers:
        if b"\n" in value or b"\r" in value or b"\0" in value:
            raise ValueError(f"the value of the header {name.decode()} contains a line break or a NUL")


def check_names(names: Iterable[bytes]) -> None:
    """Raise ``ValueError`` for a name that is not a token, or that only the transport may set."""
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if name.lower() in OWN_HEADERS:
            raise ValueError(
                f"the header {name.lower().decode()} is set by the transport; remove it from the request"
            )


def check_method(method: str) -> None:
    """Raise ``ValueError`` for a method that is not a token, or that turns a connection into a tunnel."""
    if not method.isascii() or not _TOKEN.fullmatch(method.encode()) or method == "CONNECT":
        raise ValueError(f"the method {method!r} cannot be sent")


class Head:
    """Writes requests with one method and URL.

    The header names of an endpoint do not change. So a template is kept for each combination of names:
    it is checked once, and the values are inserted in one step.
    """

    __slots__ = ("_start", "_templates", "_with_length")

    def __init__(self, method: str, url: Url, forwarder: Proxy | None = None) -> None:
        """``forwarder``: the proxy that gets the requests, with the whole URL (RFC 9112 3.2.2)."""
        check_method(method)
        target = url.target if forwarder is None else f"{url.scheme}://{url.authority}{url.target}"
        self._start = f"{method} {target} HTTP/1.1\r\nhost: {url.authority}\r\n".encode("ascii")
        if self._start.count(b"\n") != 2 or self._start.count(b" ") != 3:
            raise ValueError("the URL contains a space or a line break")
        if forwarder is not None:
            self._start += forwarder.login
        self._with_length = method in _WITH_LENGTH
        self._templates: dict[tuple[bytes, ...], _Template] = {}

    def write(self, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> bytes:
        """Return head and body as bytes. Raises ``ValueError`` like ``check_headers``."""
        names, values = zip(*headers) if headers else ((), ())  # noqa: B905 (pairs; strict doubles the cost)
        template = self._templates.get(names) or self._add_template(names)
        text = b"".join(values)
        if _LF in text or _CR in text or _NUL in text:  # the names were checked with the template
            check_headers(headers)
        if body or self._with_length:
            return template.with_length % (*values, len(body), body)
        return template.without_length % values

    def _add_template(self, names: tuple[bytes, ...]) -> _Template:
        check_names(names)
        if len(self._templates) >= _MAX_TEMPLATES:
            self._templates.clear()
        agent = b"" if b"user-agent" in {name.lower() for name in names} else _USER_AGENT
        start = self._start.replace(b"%", b"%%") + agent
        start += b"".join(name.replace(b"%", b"%%") + b": %b\r\n" for name in names)
        template = _Template(start + b"content-length: %d\r\n\r\n%b", start + b"\r\n")
        self._templates[names] = template
        return template


class _Template(NamedTuple):
    """A request with placeholders for the values of its headers, and for length and body if it has them."""

    with_length: bytes
    without_length: bytes
