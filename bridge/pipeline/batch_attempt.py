"""Steps 7 to 10 for a batch: one attempt to deliver several events to one endpoint in one request.

Invariant: each event has its own judgement, and of the events of one lane, none is judged as delivered after
one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bridge.core.batches import FOLLOWS, NAMED, BatchLimits, batch_id, failed_events, smaller
from bridge.core.verdict import Judgement, judge, retry_after_s
from bridge.errors import DecodeError, FilterError, RenderError
from bridge.model import Request, Response, Verdict
from bridge.pipeline.attempt import EndpointClient, PlanRetry
from bridge.pipeline.attempt_trace import OpenSpan
from bridge.pipeline.batch_queue import Batch
from bridge.pipeline.lane_queue import UNBOUNDED, Batching, Delivery
from bridge.pipeline.shown_reason import without_secrets
from bridge.pipeline.target import Outcome, Target
from bridge.rendering import Headers, Rendered
from bridge.rendering.batch import BatchForm

PlanRetries = Callable[[Batch, list[Judgement]], list[Judgement]]
"""Plan what follows each failed event that is the first one of its lane; see ``PlanRetry``."""


class BatchResult(NamedTuple):
    """The judgement of each event. With ``is_split``, they are tried again at once, in smaller batches."""

    judgements: list[Judgement]
    is_split: bool


class BatchClient(EndpointClient):
    """Makes the attempts of an endpoint that gets several events in one request.

    ``form`` joins the events, and ``limits`` bound a request. The signature is one over the body, with the id
    of the batch. The history has an entry for each event, with that event's own body.
    """

    def __init__(self, target: Target, *, form: BatchForm, limits: BatchLimits, **others: Any) -> None:
        """``others``: as for ``EndpointClient``."""
        super().__init__(target, **others)
        self.form = form
        self.limits = limits

    def prepare(self, delivery: Delivery) -> tuple[Rendered, bytes]:
        """Return the event's own request, and its part of a batch.

        Raises ``DecodeError``, ``FilterError`` and ``RenderError``.
        """
        event, renderer = delivery.event, self._renderer
        if delivery.fault is not None:
            raise delivery.fault
        is_stored = event.resend is not None and event.resend.stored is not None
        if is_stored:  # its body may be older than the setting body
            renderer = self._stored
        rendered = renderer.render(event)
        if not event.is_fresh:
            event.rendered = None
        return rendered, self.form.item(event.webhook_id, rendered.body, any_text=is_stored)

    async def attempt(self, delivery: Delivery, plan_retry: PlanRetry) -> Judgement:
        """Send a batch of this event alone; see ``EndpointClient.attempt``."""
        try:
            rendered, item = self.prepare(delivery)
        except (DecodeError, FilterError, RenderError) as exc:
            delivery.attempts += 1
            delivery.status, delivery.later = 0, None
            return self._unrenderable(delivery, exc)
        batch = Batch(1)
        batch.add(delivery, rendered, item)

        def plan(_: Batch, judgements: list[Judgement]) -> list[Judgement]:
            (judgement,) = judgements
            return [plan_retry(delivery, judgement)] if judgement.verdict is Verdict.AGAIN else judgements

        return (await self.attempt_batch(batch, plan)).judgements[0]

    async def attempt_batch(self, batch: Batch, plan_retries: PlanRetries) -> BatchResult:
        """Send the events once, in one request, and judge the answer for each of them.

        Nothing is awaited before the gate counts the request as sent.
        """
        for delivery in batch.deliveries:
            delivery.attempts += 1
            delivery.status, delivery.later = 0, None
        at, began = self._clock.time(), self._clock.monotonic()
        number = self._gate.sent(began)
        self._gate.sent_with(began, len(batch.deliveries) - 1)
        try:
            spans = self._begin_spans(batch)
            webhook_ids = batch.webhook_ids
            request = await self._request(batch, webhook_ids, int(at))
        except BaseException:
            self._gate.abandoned(number)
            raise
        outcome, judgement = await self._exchange(request, at, began, number)
        result = self._judge_each(batch, webhook_ids, outcome, judgement)
        if not result.is_split:
            result = BatchResult(plan_retries(batch, result.judgements), is_split=False)
        self._record(batch, request, outcome, result.judgements, spans)
        return result

    async def _request(self, batch: Batch, webhook_ids: Sequence[str], at_s: int) -> Request:
        """Return the request of a batch; its parts are joined, and forgotten."""
        body = self.form.join(batch.items)
        batch.items.clear()
        coding: Headers = ()
        if self._compression is not None:
            coding, body = await self._compressed(self._compression, body)
        method, url, *_ = batch.rendered[0]
        signature = self._signer.headers(batch_id(webhook_ids), at_s, body, method, url)
        return Request(method, url, self.form.headers + coding + signature + self._target.headers, body)

    def _judge_each(
        self, batch: Batch, webhook_ids: Sequence[str], outcome: Outcome, judgement: Judgement
    ) -> BatchResult:
        """Return the judgement of each event. A refusal of several says nothing about one of them."""
        number, is_split = len(batch.deliveries), False
        if number == 1 and judgement.kind != "ok":
            return BatchResult([self._failed(batch.deliveries[0], outcome, judgement)], is_split)
        accepted = judgement.verdict is Verdict.DELIVERED or judgement.kind == "ok"
        if accepted and isinstance(outcome.answer, Response):
            pause_s = retry_after_s(outcome.answer, outcome.at + outcome.duration_s)
            named = failed_events(outcome.answer, webhook_ids)
            if not isinstance(named, Judgement):
                failed = NAMED._replace(retry_after_s=pause_s)
                return BatchResult(self._failed_alone(batch, named, judgement, failed), is_split)
            judgement = named._replace(retry_after_s=pause_s)
        if judgement.verdict is Verdict.PARK:
            is_split = True
            reason = f"{judgement.reason} (in a batch of {number} events, which are tried in smaller ones)"
            judgement = judgement._replace(verdict=Verdict.AGAIN, reason=reason, counts=False)
        return BatchResult(self._failed_together(batch, outcome, judgement, is_split), is_split)

    def _failed_together(
        self, batch: Batch, outcome: Outcome, judgement: Judgement, is_split: bool
    ) -> list[Judgement]:
        """Return the judgements of a request that failed as a whole. It counts for the head of each lane."""
        answer, ended_at = outcome.answer, outcome.at + outcome.duration_s
        judgement = without_secrets(
            judgement, answer, lambda shown: judge(shown, ended_at, self._own_verdict, self._retry_on)
        )
        if isinstance(answer, Response):
            if self._signatures is not None:
                self._signatures.examine(answer)
            for delivery in batch.deliveries:
                delivery.status = answer.status
        most = smaller(len(batch.deliveries))
        judgements, follows = [], judgement._replace(counts=False)
        for deliveries in batch.by_lane():
            judgements += [judgement, *[follows] * (len(deliveries) - 1)]
            if is_split:
                for delivery in deliveries:
                    delivery.batching = Batching(most, delivery.ends_lane)
        return judgements

    def _failed_alone(
        self, batch: Batch, named: frozenset[int], accepted: Judgement, failed: Judgement
    ) -> list[Judgement]:
        """Return the judgements after a 2xx that names failed events, or none.

        What follows a failed event in its lane is sent again after it, also if the receiver accepted it.
        """
        if not named:
            return [accepted] * len(batch.deliveries)
        judgements: list[Judgement] = []
        for deliveries in batch.by_lane():
            judgement = accepted
            for delivery in deliveries:
                if judgement is not accepted:
                    judgement = FOLLOWS
                elif len(judgements) in named:
                    judgement = failed
                    most = UNBOUNDED if delivery.batching is None else delivery.batching.most
                    delivery.batching = Batching(most, ends_lane=True)
                judgements.append(judgement)
        return judgements

    def _begin_spans(self, batch: Batch) -> list[OpenSpan]:
        """Begin a span for each event, in its own trace. The request cannot continue one of them."""
        tracer = self._tracer
        return [] if tracer is None else [tracer.begin(delivery.event) for delivery in batch.deliveries]

    def _record(
        self,
        batch: Batch,
        request: Request,
        outcome: Outcome,
        judgements: Sequence[Judgement],
        spans: Sequence[OpenSpan],
    ) -> None:
        """Keep an entry for each event: its own body, and the headers of the request."""
        method, url, headers, _ = request
        headers = headers[len(self.form.headers) :]
        sent = [*zip(batch.deliveries, batch.rendered, judgements, strict=True)]
        if self._tracer is None:
            self._log.record_all(sent, method, url, headers, outcome)
            return
        for one, span in zip(sent, spans, strict=True):
            delivery, rendered, judgement = one
            own = Request(method, url, rendered.headers + headers, rendered.body)
            of = outcome._replace(trace_id=span.trace_id)
            self._tracer.end(span, delivery.event, delivery.attempts, own, of, judgement)
            self._log.record_all([one], method, url, headers, of)
