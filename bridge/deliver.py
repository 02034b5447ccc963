"""Step 9, delivery: one attempt over HTTP, and what is kept of it.

Takes a rendered and signed request, gives the answer or the transport's error, timed; writes the
canonical log line, the metrics and the history row of the attempt. Edge floor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from bridge.clock import Clock
from bridge.errors import TransportError
from bridge.history import AttemptRow, History
from bridge.model import Event, Request, Response, Verdict
from bridge.presets.sealed import BodySecret
from bridge.render import Headers, Rendered
from bridge.telemetry import events
from bridge.telemetry.metrics import EndpointMetrics
from bridge.transport import Transport
from bridge.verdict import Judgement

MASK = b"***"


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
        """History row, metrics and log line of an attempt (``number`` counts from 1)."""
        verdict, record, target = judgement.verdict, event.record, self._target
        status = outcome.answer.status if isinstance(outcome.answer, Response) else None
        duration_ms = round(outcome.duration_s * 1000, 3)
        metrics = self._metrics
        metrics.attempts[verdict].inc()
        metrics.attempt_seconds.observe(outcome.duration_s)
        if verdict is Verdict.DELIVERED:
            latency_s = outcome.at + outcome.duration_s - record.timestamp_ms / 1000
            metrics.latency_seconds.observe(latency_s)
            if number > 1:
                metrics.retries_succeeded.inc()
        self._history.add(
            AttemptRow(
                int(outcome.at * 1000), target.endpoint, event.id, event.webhook_id, event.type,
                event.entity, event.tenant, record.partition.topic, record.partition.number,
                record.offset, number, verdict.value, status, judgement.reason, duration_ms,
                request.method, request.url.origin, self._shown(request),
                target.shown_body(request.body) if target.keep_bodies else None,
            )
        )  # fmt: skip
        if verdict is Verdict.DELIVERED:
            if target.log_successes:
                self._log.info(
                    events.DELIVERY_ATTEMPTED, verdict="delivered",
                    status=status, attempt=number, duration_ms=duration_ms, type=event.type,
                    webhook_id=event.webhook_id, entity=event.entity, place=record.place,
                )  # fmt: skip
        else:
            self._log.warning(
                events.DELIVERY_ATTEMPTED, verdict=verdict.value,
                status=status, attempt=number, duration_ms=duration_ms, type=event.type,
                webhook_id=event.webhook_id, entity=event.entity, place=record.place,
                reason=judgement.reason, origin=request.url.origin,
            )  # fmt: skip

    def _shown(self, request: Request) -> bytes:
        own = request.headers[: len(request.headers) - len(self._target.headers)]
        shown = self._target.masked(own) if self._secret_in_rendered else own
        return _lines(shown) + self._shown_constant


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\n" % pair for pair in headers])
