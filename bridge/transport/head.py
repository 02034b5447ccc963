"""Writes a request as bytes: request line, headers, body, in one piece.

HTTP edge, pure. Runs once per attempt, so what does not change between two requests to one URL is
made once, and header fields are checked as one block instead of one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bridge import __version__
from bridge.model import Url

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_USER_AGENT = b"user-agent: hookferry/" + __version__.encode() + b"\r\n"
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})  # RFC 9110 8.6: also when there is no body
_MAX_NAMES = 1024  # names come from the configuration, so there are few; this bounds a mistake

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
"""Names (lower case) that decide where a message ends and whose the connection is: never the caller's."""

_names: dict[bytes, bool] = {}  # a name that was checked -> whether it is User-Agent


def check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises ``ValueError`` for a header that would break, or break out of, the request's head."""
    for name, value in headers:
        _learn(name)
        if b"\n" in value or b"\r" in value or b"\0" in value:
            raise ValueError(f"the value of the header {name.decode()} has a line break or a NUL in it")


def check_method(method: str) -> None:
    """Raises ``ValueError`` for a method that is no token, or that turns a connection into a tunnel."""
    if not method.isascii() or not _TOKEN.fullmatch(method.encode()) or method == "CONNECT":
        raise ValueError(f"the method {method!r} cannot be sent")


class Head:
    """The part of a request's head that is the same for every request with this method and URL."""

    __slots__ = ("_always_length", "_start")

    def __init__(self, method: str, url: Url) -> None:
        check_method(method)
        self._start = f"{method} {url.target} HTTP/1.1\r\nhost: {url.authority}\r\n".encode("ascii")
        if self._start.count(b"\n") != 2 or self._start.count(b" ") != 3:
            raise ValueError("the URL has a space or a line break in it")
        self._always_length = method in _WITH_LENGTH

    def write(self, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> bytes:
        """The whole request. Raises ``ValueError`` as ``check_headers`` does."""
        parts = [self._start]
        lines = len(headers) + 3  # with request line, Host and the empty line
        agent = _USER_AGENT
        for name, value in headers:
            is_agent = _names.get(name)
            if is_agent is None:
                is_agent = _learn(name)
            if is_agent:
                agent = b""
            parts += (name, b": ", value, b"\r\n")
        if agent:
            parts.append(agent)
            lines += 1
        if body or self._always_length:
            parts.append(b"content-length: %d\r\n" % len(body))
            lines += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        # Names are tokens, so a surplus line break, a lone CR or LF, or a NUL can only be in a value.
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            check_headers(headers)
        return head + body


def _learn(name: bytes) -> bool:
    """Check a name and remember it; whether it is User-Agent. Raises ``ValueError``."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name")
    lower = name.lower()
    if lower in OWN_HEADERS:
        raise ValueError(f"the header {lower.decode()} is set by the transport and cannot be given")
    if len(_names) >= _MAX_NAMES:
        _names.clear()
    return _names.setdefault(name, lower == b"user-agent")
