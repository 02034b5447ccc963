"""What is kept of an attempt: a row of the history, metrics, and the canonical log line.

Metrics and log lines of successes are written in batches: that costs a third of writing each, and
most attempts succeed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from bridge.core.verdict import Judgement
from bridge.errors import TransportError
from bridge.model import Event, Request, Response, Url, Verdict
from bridge.rendering import Headers, Rendered
from bridge.rendering.body_secret import BodySecret
from bridge.storage.attempt_history import AttemptRow, History
from bridge.telemetry import events
from bridge.telemetry.logs import Lines
from bridge.telemetry.metrics import EndpointMetrics
from bridge.telemetry.scrub import in_force

MASK = b"***"
_BATCH_AFTER_S = 0.05
_BATCH_SIZE = 128
"""Successes that are written at once: writing these takes about 2 ms, in which nothing else runs."""


@dataclass(frozen=True, slots=True)
class Target:
    """What all requests of an endpoint have in common.

    ``headers`` follow those of the event. ``secret_headers`` (lower case) are masked wherever they are
    shown, whether they come from ``headers`` or from the event; so is ``body_secret``. ``added`` are headers
    that the transport adds to the request, as they may be shown. With ``scrub_bodies``, bodies are searched
    for secrets before they are kept: a template inserts one.
    """

    endpoint: str
    headers: Headers
    secret_headers: frozenset[bytes]
    timeout_s: float
    keep_bodies: bool
    log_successes: bool
    body_secret: BodySecret | None = None
    added: Headers = ()
    scrub_bodies: bool = False

    def request(self, rendered: Rendered, signature: Headers) -> Request:
        """Return the request: what was rendered, then the signature, then the endpoint's own headers."""
        method, url, headers, body = rendered
        return Request(method, url, headers + signature + self.headers, body)

    def shown_body(self, sent: bytes) -> bytes:
        """Return a body as it may be kept and shown."""
        shown = sent if self.body_secret is None else self.body_secret.shown(sent)
        return in_force.scrub_bytes(shown) if self.scrub_bodies else shown

    def masked(self, headers: Headers) -> Headers:
        """Return headers as they may be shown."""
        secret = self.secret_headers
        return tuple((name, MASK if name.lower() in secret else value) for name, value in headers)


class Outcome(NamedTuple):
    """The answer to one attempt or its error, when it began (Unix seconds), and its duration (seconds)."""

    answer: Response | TransportError
    at: float
    duration_s: float


class _Success(NamedTuple):
    """A delivery whose metrics and log line are not written yet."""

    row: AttemptRow
    duration_s: float
    latency_s: float


class AttemptLog:
    """Keeps the attempts of one endpoint.

    Invariant: the row of an attempt is in the history before its event can settle, and the history is
    written before a cursor is committed. ``on_delivered`` is called with the size of each batch of successes.
    """

    def __init__(
        self,
        target: Target,
        history: History,
        metrics: EndpointMetrics,
        on_delivered: Callable[[int], None] | None = None,
    ) -> None:
        self._target = target
        self._history = history
        self._metrics = metrics
        self._on_delivered = on_delivered
        self._log = structlog.get_logger().bind(endpoint=target.endpoint)
        self._lines = Lines(events.DELIVERY_ATTEMPTED, endpoint=target.endpoint, verdict="delivered")
        self._successes: list[_Success] = []
        self._shown_constant = _header_lines(target.masked(target.headers) + target.added)
        constant = {name.lower() for name, _ in target.headers}
        self._secret_in_rendered = not target.secret_headers <= constant
        self._url: Url | None = None
        self._origin = ""

    def record(
        self, event: Event, number: int, request: Request, outcome: Outcome, judgement: Judgement
    ) -> None:
        """Keep an attempt; ``number`` counts from 1.

        Queue the history row before returning. Log a failure immediately, a success with its batch.
        """
        _, at, duration_s = outcome
        row = self._row(event, number, request, outcome, judgement)
        self._history.add(row)
        if judgement.verdict is not Verdict.DELIVERED:
            self._record_failure(event, row, duration_s)
            return
        latency_s = at + duration_s - event.record.timestamp_ms / 1000
        self._successes.append(_Success(row, duration_s, latency_s))
        if len(self._successes) == 1:
            asyncio.get_running_loop().call_later(_BATCH_AFTER_S, self.write_successes)
        elif len(self._successes) == _BATCH_SIZE:
            asyncio.get_running_loop().call_soon(self.write_successes)

    def write_successes(self) -> None:
        """Write metrics and log lines of the successes so far. A timer calls it as well."""
        successes, self._successes = self._successes, []
        metrics = self._metrics
        if successes and self._on_delivered is not None:
            self._on_delivered(len(successes))
        metrics.attempts[Verdict.DELIVERED].inc(len(successes))
        metrics.retries_succeeded.inc(sum(success.row.attempt > 1 for success in successes))
        for _, duration_s, latency_s in successes:
            metrics.attempt_seconds.observe(duration_s)
            metrics.latency_seconds.observe(latency_s)
        if successes and self._target.log_successes:
            self._lines.write(
                (
                    row.at_ms / 1000 + duration_s,
                    {
                        "status": row.status,
                        "attempt": row.attempt,
                        "duration_ms": row.duration_ms,
                        "type": row.type,
                        "webhook_id": row.webhook_id,
                        "entity": row.entity,
                        "place": f"{row.topic}-{row.partition}@{row.offset}",
                    },
                )
                for row, duration_s, _ in successes
            )

    def _record_failure(self, event: Event, row: AttemptRow, duration_s: float) -> None:
        self._metrics.attempts[Verdict(row.verdict)].inc()
        self._metrics.attempt_seconds.observe(duration_s)
        self._log.warning(
            events.DELIVERY_ATTEMPTED, verdict=row.verdict,
            status=row.status, attempt=row.attempt, duration_ms=row.duration_ms, type=event.type,
            webhook_id=event.webhook_id, entity=event.entity, place=event.record.place,
            reason=row.reason, origin=row.origin,
        )  # fmt: skip

    def _row(
        self, event: Event, number: int, request: Request, outcome: Outcome, judgement: Judgement
    ) -> AttemptRow:
        target, record, (answer, at, duration_s) = self._target, event.record, outcome
        method, url, headers, body = request
        if url is not self._url:
            self._url, self._origin = url, url.origin
        rendered = headers[: len(headers) - len(target.headers)]
        if self._secret_in_rendered:
            rendered = target.masked(rendered)
        return AttemptRow(
            int(at * 1000), target.endpoint, event.id, event.webhook_id, event.type,
            event.entity, event.tenant, record.partition.topic, record.partition.number,
            record.offset, number, judgement.verdict.value,
            answer.status if isinstance(answer, Response) else None, judgement.reason,
            round(duration_s * 1000, 3), method, self._origin,
            _header_lines(rendered) + self._shown_constant,
            target.shown_body(body) if target.keep_bodies else None,
        )  # fmt: skip


def _header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\n" % pair for pair in headers])
