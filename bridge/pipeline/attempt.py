"""Step 9, delivery: one attempt over HTTP, and what is kept of it.

Takes a rendered and signed request, gives the answer or the transport's error, timed; writes the
canonical log line, the metrics and the history row of the attempt. Edge floor.

What is told of a success is told of many at once, a moment later: in one go it costs a third, and
successes are what there is most of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from bridge.clock import Clock
from bridge.core.verdict import Judgement
from bridge.errors import TransportError
from bridge.http import Transport
from bridge.model import Event, Request, Response, Verdict
from bridge.rendering import Headers, Rendered
from bridge.rendering.body_secret import BodySecret
from bridge.storage.attempt_history import AttemptRow, History
from bridge.telemetry import events
from bridge.telemetry.logs import Lines
from bridge.telemetry.metrics import EndpointMetrics

MASK = b"***"
_TOLD_AFTER_S = 0.05
_TOLD_AT_ONCE = 128
"""Successes after which no more are waited for: telling them takes some 2 ms, in which nothing else runs."""


class Outcome(NamedTuple):
    """One attempt: what came of it, when it began (Unix seconds), how long it took (seconds)."""

    answer: Response | TransportError
    at: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Target:
    """What is the same in all requests of an endpoint.

    ``headers`` come behind those of the event; ``secret_headers`` (lower case), wherever they come from, are
    masked wherever shown, and so is ``body_secret``.
    """

    endpoint: str
    headers: Headers
    secret_headers: frozenset[bytes]
    timeout_s: float
    keep_bodies: bool
    log_successes: bool
    body_secret: BodySecret | None = None

    def request(self, rendered: Rendered, signature: Headers) -> Request:
        """What was rendered, signed, with the endpoint's own headers behind it."""
        method, url, headers, body = rendered
        return Request(method, url, headers + signature + self.headers, body)

    def masked(self, headers: Headers) -> Headers:
        """Headers as they may be shown."""
        secret = self.secret_headers
        return tuple((name, MASK if name.lower() in secret else value) for name, value in headers)

    def shown_body(self, sent: bytes) -> bytes:
        """A body as it may be kept and shown."""
        return sent if self.body_secret is None else self.body_secret.shown(sent)


class _Success(NamedTuple):
    """A delivery of which metrics and log are still to be told."""

    row: AttemptRow
    duration_s: float
    latency_s: float


class Deliverer:
    """Sends the attempts of one endpoint and keeps their history."""

    def __init__(
        self, target: Target, transport: Transport, history: History, metrics: EndpointMetrics, clock: Clock
    ) -> None:
        self._target = target
        self._transport = transport
        self._history = history
        self._metrics = metrics
        self._clock = clock
        self._log = structlog.get_logger().bind(endpoint=target.endpoint)
        self._lines = Lines(events.DELIVERY_ATTEMPTED, endpoint=target.endpoint, verdict="delivered")
        self._untold: list[_Success] = []
        self._shown_constant = _lines(target.masked(target.headers))
        constant = {name.lower() for name, _ in target.headers}
        self._secret_in_rendered = not target.secret_headers <= constant

    def request(self, rendered: Rendered, signature: Headers) -> Request:
        """See ``Target.request``."""
        return self._target.request(rendered, signature)

    async def attempt(self, request: Request) -> Outcome:
        """Send once and wait for the answer, at most the endpoint's timeout."""
        at, began = self._clock.time(), self._clock.monotonic()
        answer: Response | TransportError
        try:
            answer = await self._transport.send(request, self._target.timeout_s)
        except TransportError as exc:
            answer = exc
        return Outcome(answer, at, self._clock.monotonic() - began)

    def keep(
        self, event: Event, number: int, request: Request, outcome: Outcome, judgement: Judgement
    ) -> None:
        """History row, metrics and log line of an attempt (``number`` counts from 1).

        The row is the history's before this returns; a failure is told, too.
        """
        verdict, record, target = judgement.verdict, event.record, self._target
        answer, at, duration_s = outcome
        row = AttemptRow(
            int(at * 1000), target.endpoint, event.id, event.webhook_id, event.type,
            event.entity, event.tenant, record.partition.topic, record.partition.number,
            record.offset, number, verdict.value, answer.status if isinstance(answer, Response) else None,
            judgement.reason, round(duration_s * 1000, 3), request.method, request.url.origin,
            self._shown(request), target.shown_body(request.body) if target.keep_bodies else None,
        )  # fmt: skip
        self._history.add(row)
        if verdict is Verdict.DELIVERED:
            self._untold.append(_Success(row, duration_s, at + duration_s - record.timestamp_ms / 1000))
            if len(self._untold) == 1:
                asyncio.get_running_loop().call_later(_TOLD_AFTER_S, self.tell)
            elif len(self._untold) == _TOLD_AT_ONCE:
                asyncio.get_running_loop().call_soon(self.tell)
            return
        self._metrics.attempts[verdict].inc()
        self._metrics.attempt_seconds.observe(duration_s)
        self._log.warning(
            events.DELIVERY_ATTEMPTED, verdict=verdict.value,
            status=row.status, attempt=number, duration_ms=row.duration_ms, type=event.type,
            webhook_id=event.webhook_id, entity=event.entity, place=record.place,
            reason=judgement.reason, origin=row.origin,
        )  # fmt: skip

    def tell(self) -> None:
        """Metrics and log lines of the successes that were kept so far; called by itself in time."""
        untold, self._untold = self._untold, []
        metrics = self._metrics
        metrics.attempts[Verdict.DELIVERED].inc(len(untold))
        metrics.retries_succeeded.inc(sum(success.row.attempt > 1 for success in untold))
        for _, duration_s, latency_s in untold:
            metrics.attempt_seconds.observe(duration_s)
            metrics.latency_seconds.observe(latency_s)
        if untold and self._target.log_successes:
            self._lines.write((row.at_ms / 1000 + duration_s, _facts(row)) for row, duration_s, _ in untold)

    def _shown(self, request: Request) -> bytes:
        own = request.headers[: len(request.headers) - len(self._target.headers)]
        shown = self._target.masked(own) if self._secret_in_rendered else own
        return _lines(shown) + self._shown_constant


def _facts(row: AttemptRow) -> dict[str, Any]:
    return {
        "status": row.status,
        "attempt": row.attempt,
        "duration_ms": row.duration_ms,
        "type": row.type,
        "webhook_id": row.webhook_id,
        "entity": row.entity,
        "place": f"{row.topic}-{row.partition}@{row.offset}",
    }


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\n" % pair for pair in headers])
