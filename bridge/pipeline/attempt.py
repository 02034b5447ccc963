"""Steps 7 to 10: one attempt to deliver one event to one endpoint.

    render 7 -> sign 8 -> send 9 -> judge 10

What is kept of it is in ``attempt_log.py``; what follows from the verdict, in ``dispatcher.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.clock import Clock
from bridge.core.limits import Gate, ParkLimit
from bridge.core.limits.park_limit import RENDER, refusal
from bridge.core.signing import Signer
from bridge.core.verdict import DELIVERED, Judgement, OwnVerdict, by_status, judge
from bridge.errors import DecodeError, FilterError, RenderError, TransportError
from bridge.http import Transport
from bridge.model import Request, Response, Verdict
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.attempt_trace import AttemptTracer, OpenSpan
from bridge.pipeline.lane_queue import FIX_RECEIVER, Delivery
from bridge.pipeline.limit_log import LimitLog
from bridge.pipeline.shown_reason import without_secrets
from bridge.pipeline.signature_watch import SignatureWatch
from bridge.pipeline.target import Outcome, Target
from bridge.rendering import Headers, Renderer
from bridge.rendering.compression import THREAD_BYTES, Compression

PlanRetry = Callable[[Delivery, Judgement], Judgement]
"""Plan what follows a failed attempt. Return its judgement, or ``park`` if it was the last attempt."""
_FIX_RENDERING = "correct the endpoint's template or what writes this event, or leave its type out of events"
_UNCODED: Headers = ()
_new = tuple.__new__
"""``Request(...)`` and ``Outcome(...)`` without the call of their ``__new__``, which is written in Python."""


class EndpointClient:
    """Makes the attempts of one endpoint.

    ``stored`` renders the events that are sent again as they were, ``renderer`` all others.
    ``own_verdict`` interprets the answers of this kind of receiver, and ``retry_on`` has the statuses
    that are configured to be retried instead of parked. An event that would exceed the ``park_limit`` is
    not parked: its verdict is ``off``, as if the receiver had requested it. ``signatures`` counts the answers
    that complain of the signature. ``tracer`` makes a span of each attempt. With a ``compression``, the
    signature covers the compressed bytes, and the history keeps the others. Invariant: each request that the
    gate counts as sent is then reported to the gate as answered or abandoned.
    """

    def __init__(
        self,
        target: Target,
        *,
        renderer: Renderer,
        stored: Renderer,
        signer: Signer,
        gate: Gate,
        transport: Transport,
        log: AttemptLog,
        clock: Clock,
        own_verdict: OwnVerdict = by_status,
        retry_on: frozenset[int] = frozenset(),
        park_limit: ParkLimit | None = None,
        signatures: SignatureWatch | None = None,
        tracer: AttemptTracer | None = None,
        compression: Compression | None = None,
    ) -> None:
        self._target = target
        self._renderer = renderer
        self._stored = stored
        self._signer = signer
        self._gate = gate
        self._transport = transport
        self._log = log
        self._clock = clock
        self._own_verdict = own_verdict
        self._retry_on = retry_on
        self._park_limit = park_limit
        self._signatures = signatures
        self._tracer = tracer
        self._compression = compression
        self._limit_log = LimitLog(target.endpoint, gate)
        self._accepted: Response | TransportError | None = None
        """The latest answer that was judged to mean ``DELIVERED``; equal answers are mostly one object."""

    async def attempt(self, delivery: Delivery, plan_retry: PlanRetry) -> Judgement:
        """Send the event once and judge the answer, which takes at most the endpoint's timeout.

        ``plan_retry`` decides whether a retry follows, before the attempt is logged, counted and kept.
        Nothing is awaited before the gate counts the request as sent.
        """
        event = delivery.event
        if delivery.attempts:
            delivery.status, delivery.later = 0, None
        delivery.attempts += 1
        try:
            if delivery.fault is not None:
                raise delivery.fault
            resend = event.resend
            renderer = self._renderer if resend is None or resend.stored is None else self._stored
            method, url, rendered, body = renderer.render(event)
        except (DecodeError, FilterError, RenderError) as exc:
            return self._unrenderable(delivery, exc)
        if not event.is_fresh:  # the request keeps the body while it is in flight; the event does not
            event.rendered = None
        at, began = self._clock.time(), self._clock.monotonic()
        number = self._gate.sent(began)
        span: OpenSpan | None = None
        try:
            coding, sent_body = _UNCODED, body
            if self._compression is not None:
                coding, sent_body = await self._compressed(self._compression, body)
            signature = self._signer.headers(event.webhook_id, int(at), sent_body, method, url)
            if self._tracer is not None:
                span = self._tracer.begin(event)
                signature += span.headers
            headers = rendered + coding + signature + self._target.headers
            request = sent = _new(Request, (method, url, headers, body))
            if coding:
                sent = request._replace(body=sent_body)
        except BaseException:
            self._gate.abandoned(number)
            raise
        trace_id = None if span is None else span.trace_id
        outcome, judgement = await self._exchange(sent, at, began, number, trace_id)
        if judgement is not DELIVERED and judgement.verdict is not Verdict.DELIVERED:
            judgement = self._failed(delivery, outcome, judgement)
            if judgement.verdict is Verdict.AGAIN:
                judgement = plan_retry(delivery, judgement)
        if span is not None and self._tracer is not None:
            self._tracer.end(span, event, delivery.attempts, request, outcome, judgement)
        delivery.later = self._log.record(
            event, delivery.attempts, request, outcome, judgement, len(rendered)
        )
        return judgement

    async def _compressed(self, compression: Compression, body: bytes) -> tuple[Headers, bytes]:
        """Do as ``Compression.of``, in a thread if it takes long: other requests go on meanwhile."""
        if len(body) > THREAD_BYTES:
            return await asyncio.to_thread(compression.of, body)
        return compression.of(body)

    async def _exchange(
        self, request: Request, at: float, began: float, number: int, trace_id: str | None = None
    ) -> tuple[Outcome, Judgement]:
        """Send a request that the gate has counted as ``number``, and report to the gate how it ended.

        ``at`` and ``began`` are when that was: Unix seconds, and seconds on the monotonic clock.
        """
        gate = self._gate
        answer: Response | TransportError
        try:
            try:
                answer = await self._transport.send(request, self._target.timeout_s)
            except TransportError as exc:
                answer = exc
            now = self._clock.monotonic()
            duration_s = now - began
            judgement = DELIVERED
            if answer is not self._accepted:  # the same answer means the same
                judgement = judge(answer, at + duration_s, self._own_verdict, self._retry_on)
                if judgement is DELIVERED:
                    self._accepted = answer
        except BaseException:
            gate.abandoned(number)
            raise
        gate.answered(now, judgement.kind, judgement.retry_after_s, number=number)
        if gate.slowed or self._limit_log.slowed:
            self._limit_log.note()
        return _new(Outcome, (answer, at, duration_s, trace_id)), judgement

    def _unrenderable(self, delivery: Delivery, exc: DecodeError | FilterError | RenderError) -> Judgement:
        """Return the judgement of an event that has no request."""
        if isinstance(exc, RenderError):
            return self._limited(delivery, Judgement(Verdict.PARK, str(exc)), RENDER, _FIX_RENDERING)
        judgement = Judgement(Verdict.PARK, f"{exc.place}: {exc.cause}")
        return self._limited(delivery, judgement, RENDER, exc.remedy)

    def _failed(self, delivery: Delivery, outcome: Outcome, judgement: Judgement) -> Judgement:
        """Note what a failed attempt means, and return its judgement with a reason that may be shown."""
        answer, ended_at = outcome.answer, outcome.at + outcome.duration_s
        judgement = without_secrets(
            judgement, answer, lambda shown: judge(shown, ended_at, self._own_verdict, self._retry_on)
        )
        if not isinstance(answer, Response):
            return judgement
        delivery.status = answer.status
        if self._signatures is not None:
            self._signatures.examine(answer)
        if judgement.verdict is Verdict.PARK:
            return self._limited(delivery, judgement, refusal(answer.status), FIX_RECEIVER)
        return judgement

    def _limited(self, delivery: Delivery, judgement: Judgement, cause: str, remedy: str) -> Judgement:
        """Return the judgement of an event to park, or ``off`` if it exceeds the limit on dead letters.

        An event that an operator sent again does not count.
        """
        if self._park_limit is not None and delivery.event.resend is None:
            self._log.write_successes()
            reason = self._park_limit.exceeded(self._clock.monotonic(), cause)
            if reason:
                then = f"then run: hookferry endpoints on {self._target.endpoint}"
                return Judgement(Verdict.OFF, f"{reason}, {then}")
        delivery.remedy = remedy
        return judgement
