"""Step 11 for one endpoint: what becomes of the head of a lane.

It is settled, is parked and settled then, waits for its next attempt, or is left to the next owner of its
partition. ``retry_plan.py`` decides about retries, and ``parking.py`` parks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.core.lanes import Lane
from bridge.core.memory_budget import DELIVERY_BYTES, MemoryBudget
from bridge.core.verdict import Judgement
from bridge.dead_letters.hold import Hold
from bridge.errors import ParkDeferred
from bridge.model import Verdict
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher_view import DispatcherView
from bridge.pipeline.lane_queue import Delivery, LaneItem, QueuedMark
from bridge.pipeline.parking import EventParking
from bridge.pipeline.retry_plan import RetryPlan
from bridge.reasons import ParkReason
from bridge.telemetry.metrics import EndpointMetrics

_LEASE_WAIT_S = 0.5
_OVERSIZE_WAIT_S = 10.0
"""Between two tries to park an event that is too large until an operator acts: each sends all of it."""


class LaneHeads(DispatcherView):
    """The part of ``EndpointDispatcher`` that acts on a judgement, and finishes the head of a lane."""

    name: str
    _budget: MemoryBudget
    _draining: bool
    _may_send: Callable[[], bool]
    _metrics: EndpointMetrics
    _parking: EventParking
    _retries: RetryPlan
    _settle: Callable[[EndpointCursor, int, int, int], None]
    _turn_off: Callable[[str, str], None]

    @abstractmethod
    def turn(self, on: bool, since_s: float = 0.0) -> None:
        """Stop sending from now on, or continue."""

    async def _act(self, lane: Lane[LaneItem], delivery: Delivery, judgement: Judgement) -> None:
        """Act on the verdict of the head of a lane."""
        match judgement.verdict:
            case Verdict.DELIVERED:
                self._complete(lane, delivery)
            case Verdict.PARK:
                reason = delivery.park_reason
                if reason is not ParkReason.RETRIES_USED_UP:
                    reason = ParkReason.REFUSED if delivery.status else ParkReason.UNRENDERABLE
                if reason is not ParkReason.UNRENDERABLE:
                    self._retries.note_refusal(delivery)
                await self._park(lane, delivery, judgement.reason, reason)
            case Verdict.AGAIN:
                self._retry(lane, delivery, judgement)
            case Verdict.OFF:
                self._stop_sending(lane, delivery, judgement)

    def _retry(self, lane: Lane[LaneItem], delivery: Delivery, judgement: Judgement) -> None:
        """Defer a lane until the next attempt that ``RetryPlan`` planned."""
        if not delivery.cursor.live or delivery.retry_s is None:
            self._complete(lane, delivery)
            return
        if delivery.later is not None:
            delivery.later.at_s = self._clock.time() + delivery.retry_s
        if not judgement.counts:
            delivery.attempts -= 1
        self._retry_later(lane, delivery.retry_s)

    def _stop_sending(self, lane: Lane[LaneItem], delivery: Delivery, judgement: Judgement) -> None:
        """Turn the endpoint off, as its receiver requested or because of the limit on dead letters.

        The event waits, first in its lane, as if it was never sent. If the answer was a 2xx, the receiver
        accepted this event, and it settles.
        """
        if self.on and delivery.cursor.live:
            self.turn(False)
            self._turn_off(self.name, judgement.reason)
        if judgement.kind == "ok" or not delivery.cursor.live:
            self._complete(lane, delivery)
            return
        delivery.attempts -= 1
        self._retry_later(lane, 0.0)

    async def _park(self, lane: Lane[LaneItem], delivery: Delivery, cause: str, reason: ParkReason) -> None:
        delivery.park_cause, delivery.park_reason = cause, reason
        parked = self._parking.park(delivery, cause, lambda: self._may_wait(delivery))
        await self._complete_parked(parked, lane, delivery)

    async def _park_held(self, lane: Lane[LaneItem], delivery: Delivery, hold: Hold) -> None:
        parked = self._parking.park_held(delivery, hold, lambda: self._may_wait(delivery))
        await self._complete_parked(parked, lane, delivery)

    async def _complete_parked(
        self, parking: Coroutine[Any, Any, bool], lane: Lane[LaneItem], delivery: Delivery
    ) -> None:
        """Complete an event once it is parked. While that waits for an operator, no worker waits for it."""
        try:
            parked = await parking
        except ParkDeferred:
            if delivery.cursor.live:
                self._retry_later(lane, _OVERSIZE_WAIT_S)
                return
            parked = False
        self._complete_if(parked, lane, delivery)

    async def _end_redrive(self, lane: Lane[LaneItem], queued: QueuedMark) -> None:
        if not self._may_send():
            self._retry_later(lane, _LEASE_WAIT_S)
            return
        safe = await self._parking.end_redrive(queued, lambda: self._may_wait(queued))
        self._complete_if(safe, lane, queued)

    async def _settle_unsent(self, lane: Lane[LaneItem], delivery: Delivery) -> None:
        self._metrics.events_off.inc()
        self._complete(lane, delivery)

    async def _wait_for_lease(self, lane: Lane[LaneItem]) -> None:
        self._retry_later(lane, _LEASE_WAIT_S)

    def _may_wait(self, item: LaneItem) -> bool:
        """Return True if a failed write may be repeated: the assignment has not begun to end."""
        return item.cursor.live and not self._draining

    def _retry_later(self, lane: Lane[LaneItem], delay_s: float) -> None:
        if self._draining:
            self._drop_head(lane)
        else:
            self._queue.retry_later(lane, delay_s)

    def _release(self, item: LaneItem) -> None:
        """Give the memory of an item back that leaves its lane."""
        if isinstance(item, QueuedMark):
            return
        counted = item.event.first or item.event
        left = counted.holders = counted.holders - 1
        self._budget.free += DELIVERY_BYTES if left else DELIVERY_BYTES + item.cost_bytes

    def _drop_head(self, lane: Lane[LaneItem]) -> None:
        """Remove the head of a lane that the next owner of its partition reads again."""
        self._release(lane.items[0])
        self._queue.finish(lane)

    def _complete(self, lane: Lane[LaneItem], item: LaneItem) -> None:
        """Settle the head of a lane at its cursor, and go on to the next item of the lane."""
        self._release(item)
        self._settle(item.cursor, item.offset, item.size_bytes, item.part)
        self._queue.finish(lane)

    def _complete_if(self, safe: bool, lane: Lane[LaneItem], item: LaneItem) -> None:
        """Complete an item if its write is safe; otherwise leave it to the next owner of the partition."""
        if safe:
            self._complete(lane, item)
        else:
            self._drop_head(lane)
