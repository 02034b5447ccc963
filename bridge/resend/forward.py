"""Forward attempts to a developer's machine: the request as the history has it, one at a time.

Invariant: what the history masks is left out, and no more than one request is open.
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.core.url import is_in_clear, parse_url
from bridge.errors import HookferryError, TransportError
from bridge.history.attempt import MASK, Attempt, Kept, header_pairs
from bridge.http import Transport
from bridge.model import Request, Response, Url

TIMEOUT_S = 10.0
_CODING = b"content-encoding"


class Forwarded(NamedTuple):
    """What became of one forwarded attempt: an answer, or why there is none. ``note`` is what differs."""

    status: int | None
    failure: str
    note: str


def forward_target(text: str) -> Url:
    """Return the URL to forward to. Raises ``HookferryError`` for one that is wrong, or not encrypted.

    Only this machine may get events without TLS.
    """
    try:
        url = parse_url(text)
    except ValueError as exc:
        raise HookferryError(f"--forward: {exc}") from exc
    if is_in_clear(url):
        raise HookferryError(
            f"--forward: {url.origin} is not this machine, so the events would cross a network in clear; use"
            " https, or a tunnel that ends at http://localhost"
        )
    return url


def to_request(kept: Kept, url: Url) -> Request:
    """Return the request of an attempt for another URL, without the headers that are masked.

    The body is the event's own, and not compressed.
    """
    attempt = kept.attempt
    headers = tuple(
        (name, value)
        for name, value in header_pairs(attempt.headers)
        if value != MASK and name.lower() != _CODING
    )
    return Request(attempt.method, url, headers, attempt.body or b"")


def _difference(attempt: Attempt) -> str:
    """Return why the signature of a forwarded attempt is not that of its body; empty if it is."""
    if attempt.body_masked:
        return "a secret in the body is masked, so its signature is wrong"
    if attempt.batch_id is not None:
        return "it was one event of a batch, so its signature is wrong"
    if any(name.lower() == _CODING for name, _ in header_pairs(attempt.headers)):
        return "it was sent compressed, so its signature is wrong"
    return ""


class Forwarder:
    """Sends attempts to one URL through ``transport``."""

    def __init__(self, url: Url, transport: Transport) -> None:
        self._url = url
        self._transport = transport

    async def forward(self, kept: Kept) -> Forwarded:
        """Send an attempt, and wait for the answer for at most ``TIMEOUT_S``."""
        attempt = kept.attempt
        if attempt.body is None:
            return Forwarded(None, "not forwarded: its body was not kept (history.bodies)", "")
        note = _difference(attempt)
        try:
            answer: Response = await self._transport.send(to_request(kept, self._url), TIMEOUT_S)
        except TransportError as exc:
            return Forwarded(None, str(exc), note)
        return Forwarded(answer.status, "", note)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()
