"""Steps 6 to 11 for an endpoint that gets several events in one request.

    first events of ready lanes 6 -> one attempt 7 to 10 -> settle 11, retry later, split, or park

``batch_queue.py`` collects a batch, and ``batch_attempt.py`` makes one attempt. Whatever cannot be in a batch
takes the way of single events, as in ``dispatcher.py``.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from bridge.core.backoff import SharedRetrySchedule
from bridge.core.batches import is_accepted
from bridge.core.lanes import Lane
from bridge.core.verdict import Judgement
from bridge.errors import DecodeError, FilterError, RenderError
from bridge.model import Event, Verdict
from bridge.pipeline.batch_attempt import BatchClient, BatchResult
from bridge.pipeline.batch_queue import Batch, BatchQueue
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.delivery_parts import DeliveryParts
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.lane_queue import Delivery, LaneItem, LaneQueue
from bridge.reasons import ParkReason
from bridge.rendering import Rendered

_COPIES = 2
"""The bytes of a batch in flight: those of its events, which the history keeps, and those of its body."""


class BatchDispatcher(EndpointDispatcher):
    """Delivers to one endpoint, several events per request.

    Invariants: no two requests of a lane are in flight at once. The events of a lane settle in order: those
    that follow a failed one in its batch are sent again after it, also if the receiver accepted them.
    """

    _queue: BatchQueue
    _client: BatchClient

    def _build_queue(self, parts: DeliveryParts) -> LaneQueue:
        return BatchQueue(self._clock, parts.gate, self._client.limits, self._client.form.frame_bytes)

    def _use(self, parts: DeliveryParts) -> None:
        super()._use(parts)
        assert isinstance(parts.schedule, SharedRetrySchedule), "the events of a batch wait for the same time"
        self._schedule = parts.schedule

    def adopt(self, parts: DeliveryParts) -> None:
        """See ``EndpointDispatcher.adopt``. An endpoint that exists keeps getting batches."""
        super().adopt(parts)
        self._queue.use_limits(self._client.limits, self._client.form.frame_bytes)

    def enqueue(
        self, events: Iterable[Event], cursor: EndpointCursor, fault: DecodeError | FilterError | None = None
    ) -> None:
        """See ``EndpointDispatcher.enqueue``. Events that fill their cursor do not wait for more."""
        super().enqueue(events, cursor, fault)
        if cursor.is_filled:
            self._queue.look_again()

    def _instead(self, lane: Lane[LaneItem], item: LaneItem) -> Coroutine[Any, Any, None] | None:
        """Deliver a batch that begins with a running lane, unless its head is to be dealt with alone."""
        if self._may_send() and (batch := self._queue.collect(lane, self._prepare)) is not None:
            return self._deliver_batch(batch)
        self._schedule.draw()
        return super()._instead(lane, item)

    def _prepare(self, delivery: Delivery) -> tuple[Rendered, bytes] | None:
        """Render an event for a batch. Return None if something else is to be done with it in its turn."""
        event, parking = delivery.event, self._parking
        if delivery.park_cause or (self._types_off is not None and self._is_off(event)):
            return None
        if event.resend is not None and event.resend.stored is not None:
            return None  # it has a method of its own
        if parking.holds is not None and parking.hold_on(event) is not None:
            return None
        try:
            return self._client.prepare(delivery)
        except (DecodeError, FilterError, RenderError):
            return None  # parked in its turn, for this reason

    async def _deliver_batch(self, batch: Batch) -> None:
        """Make one attempt for all events of a batch, and act on the judgement of each."""
        size_bytes = _COPIES * batch.size_bytes
        self._budget.free -= size_bytes
        try:
            result = await self._client.attempt_batch(batch, self._plan_retries)
        except Exception as exc:
            self._log_failed_inside(batch.deliveries[0].event)
            judgement = Judgement(Verdict.AGAIN, f"internal error: {type(exc).__name__}")
            judgements = self._plan_retries(batch, [judgement] * len(batch.deliveries))
            result = BatchResult(judgements, is_split=False)
        finally:
            self._budget.free += size_bytes
        self._metrics.batches.inc()
        await self._settle_batch(batch, result)

    def _plan_retries(self, batch: Batch, judgements: list[Judgement]) -> list[Judgement]:
        """Plan what follows the first event of each lane that failed: the others of the lane wait for it."""
        self._schedule.draw()
        first = judgements[0]
        if is_accepted(first) and judgements.count(first) == len(judgements):
            return judgements
        planned, at = list(judgements), 0
        for deliveries in batch.by_lane():
            for place, delivery in enumerate(deliveries, at):
                if not is_accepted(judgements[place]):
                    if judgements[place].verdict is Verdict.AGAIN:
                        planned[place] = self._retries.plan(delivery, judgements[place])
                    break
            at += len(deliveries)
        return planned

    async def _settle_batch(self, batch: Batch, result: BatchResult) -> None:
        """Act on each judgement. Dead letters are written side by side."""
        first = result.judgements[0]
        if first.verdict is Verdict.DELIVERED and result.judgements.count(first) == len(result.judgements):
            self._complete_all(batch)
            return
        at = 0
        left: list[Coroutine[Any, Any, None]] = []
        for lane, number in batch.lanes:
            judgements = result.judgements[at : at + number]
            deliveries = batch.deliveries[at : at + number]
            failed = self._settle_first(lane, deliveries, judgements)
            if failed < number:
                delivery, judgement = deliveries[failed], judgements[failed]
                self._give_back(lane, deliveries[failed + 1 :])
                if result.is_split:
                    delivery.retry_s = 0.0
                if judgement.verdict is Verdict.PARK:
                    left.append(self._park_head(lane, delivery, judgement))
                elif judgement.verdict is Verdict.OFF:
                    self._stop_sending(lane, delivery, judgement)
                else:
                    self._retry(lane, delivery, judgement)
            at += number
        if left:
            self._queue.wake()  # this worker may wait for the broker now
            await asyncio.gather(*left)

    def _complete_all(self, batch: Batch) -> None:
        """Complete all events of a batch, those of a cursor together."""
        settled: defaultdict[EndpointCursor, list[tuple[int, int, int]]] = defaultdict(list)
        for delivery in batch.deliveries:
            self._release(delivery)
            settled[delivery.cursor].append((delivery.offset, delivery.size_bytes, delivery.part))
        for cursor, events_of in settled.items():
            self._settle_all(cursor, events_of)
        for lane, _ in batch.lanes:
            self._queue.finish_all(lane)

    def _settle_first(
        self, lane: Lane[LaneItem], deliveries: Sequence[Delivery], judgements: Sequence[Judgement]
    ) -> int:
        """Complete the delivered events at the head of a lane. Return how many."""
        for place, (delivery, judgement) in enumerate(zip(deliveries, judgements, strict=True)):
            if judgement.verdict is Verdict.DELIVERED:
                self._complete(lane, delivery)
            elif is_accepted(judgement):
                self._stop_sending(lane, delivery, judgement)  # it completes an accepted event
            else:
                return place
        return len(deliveries)

    def _give_back(self, lane: Lane[LaneItem], followers: Sequence[Delivery]) -> None:
        """Let the events behind a failed one wait for it, as if they were never sent.

        Those that the next owner of their partition reads again are dropped.
        """
        lane.running = 1
        for delivery in followers:
            delivery.attempts -= 1
        dropped = {delivery for delivery in followers if self._draining or not delivery.cursor.live}
        if dropped:

            def is_dropped(item: LaneItem) -> bool:
                if item not in dropped:
                    return False
                self._release(item)
                return True

            self._queue.drop(is_dropped)

    async def _park_head(self, lane: Lane[LaneItem], delivery: Delivery, judgement: Judgement) -> None:
        """Park the head of a running lane, which is refused or has used up its attempts."""
        is_used_up = delivery.park_reason is ParkReason.RETRIES_USED_UP
        self._retries.note_refusal(delivery)
        reason = ParkReason.RETRIES_USED_UP if is_used_up else ParkReason.REFUSED
        await self._park(lane, delivery, judgement.reason, reason)
