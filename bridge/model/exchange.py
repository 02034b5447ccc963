"""An HTTP request, its response, and what they mean for the delivery and for the endpoint."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple


class Url(NamedTuple):
    """A parsed http(s) URL: the host to connect to, and the target to request."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Return ``scheme://host:port``. Nothing else of a URL may be shown: paths contain secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Return the ``Host`` header, without the scheme's default port (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


class Request(NamedTuple):
    """One HTTP request, ready to be written. ``headers`` exclude Host and Content-Length."""

    method: str
    url: Url
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Response(NamedTuple):
    """One HTTP response: header names in lower case, the body truncated at the transport's limit."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header (``name`` in lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Verdict(StrEnum):
    """What an attempt means for its delivery."""

    DELIVERED = "delivered"
    AGAIN = "again"
    PARK = "park"
    OFF = "off"
    """The endpoint accepts nothing more: it is turned off, and the event waits and uses no attempt."""


AnswerKind = Literal["ok", "throttled", "unavailable", "failed", "other"]
"""What an answer means for its endpoint as a whole, whatever it means for its event.

``ok``: a 2xx. ``throttled``: 429, the endpoint works but receives too many requests. ``unavailable``:
502, 503 or 504, overloaded or down. ``failed``: another 5xx or no answer, which this event alone may
have caused. ``other``: the endpoint works, and the cause is not its load.
"""
