"""What an attempt consists of besides its event: the endpoint's target, the outcome, and who keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bridge.errors import DecodeError, RenderError, TransportError
from bridge.history.attempt import MASK
from bridge.history.row import Row
from bridge.model import Event, Response, Url
from bridge.rendering import Headers
from bridge.rendering.body_secret import BodySecret
from bridge.rendering.request import TargetTemplate
from bridge.rendering.stored import target_of
from bridge.telemetry.scrub import in_force

NO_BODY = -1
"""The size up to which bodies are kept where none is."""


@dataclass(frozen=True, slots=True)
class Target:
    """What all requests of an endpoint have in common.

    ``headers`` are the last ones of each request, after what was rendered and the signature.
    ``secret_headers`` (lower case) are masked wherever they are shown, whether they come from ``headers`` or
    from the event; so are ``body_secret`` and what the configuration has after the origin of the URL.
    ``shown_url`` renders the rest of it, if events change it.
    ``added`` are headers that the transport adds to the request, as they may be shown.
    ``kept_success`` and ``kept_failure``: the size up to which the history keeps bodies, -1 for none. With
    ``scrub_bodies``, bodies are searched for secrets before they are kept: a template inserts one.
    """

    endpoint: str
    headers: Headers
    secret_headers: frozenset[bytes]
    timeout_s: float
    log_successes: bool
    kept_success: int = NO_BODY
    kept_failure: int = NO_BODY
    body_secret: BodySecret | None = None
    added: Headers = ()
    shown_url: TargetTemplate | None = None
    scrub_bodies: bool = False

    def shown_body(self, sent: bytes) -> bytes:
        """Return a body as it may be kept and shown."""
        shown = sent if self.body_secret is None else self.body_secret.shown(sent)
        return in_force.scrub_bytes(shown) if self.scrub_bodies else shown

    def shown(self, event: Event, url: Url) -> str:
        """Return the URL of a request as it may be kept and shown."""
        if self.shown_url is not None:
            if event.resend is not None and event.resend.stored is not None:
                return f"{url.origin}{target_of(event.resend.stored.url)}"
            with suppress(RenderError, DecodeError):  # it was rendered before, with the same expressions
                shown = self.shown_url.of(event)
                return f"{shown.origin}{shown.target}"
        return f"{url.origin}/{MASK.decode()}"

    def masked(self, headers: Headers) -> Headers:
        """Return headers as they may be shown."""
        secret = self.secret_headers
        return tuple((name, MASK if name.lower() in secret else value) for name, value in headers)


class Outcome(NamedTuple):
    """The answer to one attempt or its error, when it began (Unix seconds), and its duration (seconds).

    ``trace_id`` is that of its trace; None without traces.
    """

    answer: Response | TransportError
    at: float
    duration_s: float
    trace_id: str | None = None


class KeepsAttempts(Protocol):
    """Keeps the attempts of one endpoint (``bridge.history.stream.AttemptStream``)."""

    def add(self, attempt: Row) -> None:
        """Keep an attempt."""
        ...

    def add_all(self, attempts: Sequence[Row]) -> None:
        """Keep attempts, in their order."""
        ...
