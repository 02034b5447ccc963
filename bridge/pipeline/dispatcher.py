"""Steps 6 to 11 for one endpoint: from the head of a lane to a settled event.

    next lane 6 -> attempt 7 to 10 -> settle 11, or retry later, or park

``intake.py`` enqueues deliveries. ``attempt.py`` makes one attempt, ``retry_plan.py`` decides what follows
a failed one, ``parking.py`` parks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from bridge.clock import Clock
from bridge.core.completion_map import NO_ANSWER
from bridge.core.lanes import Lane
from bridge.core.memory_budget import DELIVERY_BYTES, LARGE_BYTES, RECORD_BYTES, MemoryBudget
from bridge.core.verdict import DELIVERED, Judgement
from bridge.dead_letters.hold import Hold
from bridge.errors import DecodeError, FilterError, ParkDeferred
from bridge.model import Event, Record, RedriveMark, Verdict
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.delivery_parts import DeliveryParts, Settles
from bridge.pipeline.dispatcher_view import DispatcherView
from bridge.pipeline.lane_queue import Delivery, LaneItem, LaneQueue, QueuedMark
from bridge.pipeline.parking import EventParking, refused_before
from bridge.pipeline.retry_plan import RetryPlan
from bridge.pipeline.workers import Workers
from bridge.reasons import ParkReason
from bridge.telemetry import events
from bridge.telemetry.metrics import EndpointMetrics
from bridge.telemetry.sparse_log import SparseLog

_log = structlog.get_logger()
_LEASE_WAIT_S = 0.5
_OVERSIZE_WAIT_S = 10.0
"""Between two tries to park an event that is too large until an operator acts: each sends all of it."""


class EndpointDispatcher(DispatcherView):
    """Delivers to one endpoint: up to ``concurrency`` workers over its lanes.

    Each delivery that was enqueued ends in exactly one of four ways: settled at its cursor after a 2xx;
    settled after it is safe in the dead-letter topic; settled unsent because its type was switched off;
    or dropped with its assignment, so that the next owner of the partition reads it again. The
    cursor of an ended assignment is no longer live, and settling there has no effect.

    While the endpoint is off, workers get no lane: requests in flight finish, nothing else is sent,
    and what was enqueued waits. ``turn_off(endpoint, reason)`` is called once when the receiver requests it
    or the ``park_limit`` is exceeded; turning the endpoint on resets that limit.
    ``may_send`` returns False if the group may have given the partitions to another process.

    Each delivery takes memory from the ``budget`` while it is in a lane, its record at one endpoint only.
    """

    def __init__(
        self,
        name: str,
        *,
        parts: DeliveryParts,
        parking: EventParking,
        metrics: EndpointMetrics,
        clock: Clock,
        checkpoints: Settles,
        may_send: Callable[[], bool],
        turn_off: Callable[[str, str], None],
        budget: MemoryBudget | None = None,
    ) -> None:
        self.name = name
        self.in_flight = 0
        self._types_off: re.Pattern[str] | None = None
        self._share = 1.0
        self._metrics = metrics
        self._clock = clock
        self._retries = RetryPlan(parts.schedule, metrics, clock)
        self._use(parts)
        self._parking = parking
        self._settle = checkpoints.settle
        self._settle_all = checkpoints.settle_all
        self._may_send = may_send
        self._turn_off = turn_off
        self._budget = budget or MemoryBudget()
        self._draining = False
        self._sparse_log = SparseLog(clock.monotonic)
        self._idle = asyncio.Event()
        self._queue = self._build_queue(parts)
        self._workers = Workers(name, self._work, self._queue)

    def _build_queue(self, parts: DeliveryParts) -> LaneQueue:
        return LaneQueue(self._clock, parts.gate)

    def _use(self, parts: DeliveryParts) -> None:
        self.gate = parts.gate
        self._concurrency = parts.concurrency
        self._client = parts.client
        self._attempt_log = parts.attempt_log
        self._retries.use(parts.schedule)
        self._park_limit = parts.park_limit

    def adopt(self, parts: DeliveryParts) -> None:
        """Deliver with these parts from now on; what is queued or waits for a retry keeps its place.

        As after a restart, what waits for a retry is tried at once, and the breaker admits one request.
        """
        if parts.gate is not self.gate:
            if parts.same_receiver:
                parts.gate.follow(self.gate)
            parts.gate.set_share(self._share)
        self._use(parts)
        self._queue.use_gate(parts.gate)
        self._workers.raise_to(parts.concurrency)
        self.gate.try_now(self._clock.monotonic())
        self._queue.retry_now()

    def enqueue(
        self, events: Iterable[Event], cursor: EndpointCursor, fault: DecodeError | FilterError | None = None
    ) -> None:
        """Open events at their cursor and add each to its lane, with the attempts of earlier processes.

        They follow each other in the log. ``fault``: why it is unknown whether the endpoint selects them;
        they are parked in their turn.
        """
        queue, failures = self._queue, cursor.failures
        sizes: list[tuple[int, int]] = []
        used_bytes = ready = 0
        for event in events:
            _, offset, _, key, value, headers, _ = event.record
            part = event.index
            size_bytes = event.record.size_bytes if headers else len(value or b"") + len(key or b"")
            if part:  # an item of a bulk record keeps a copy of its bytes
                size_bytes *= 2
            cost_bytes = RECORD_BYTES + (size_bytes if size_bytes < LARGE_BYTES else 3 * size_bytes)
            counted = event.first or event
            before = counted.holders
            counted.holders = before + 1
            used_bytes += DELIVERY_BYTES if before else DELIVERY_BYTES + cost_bytes
            sizes.append((offset, size_bytes))
            delivery = Delivery(event, cursor, offset, size_bytes, part, 0, cost_bytes)
            if fault is not None:
                delivery.fault = fault
            if failures and (failed := failures.get((offset, part))) is not None:
                delivery.attempts, delivery.first_failed_at = failed.attempts, failed.first_at_s
                delivery.park_cause = refused_before(failed)
                delivery.status = 0 if failed.refused == NO_ANSWER else failed.refused
            ready += queue.push(event.lane, delivery)
        self._budget.free -= used_bytes
        cursor.open_all(sizes)
        queue.wake_for(ready)

    def enqueue_mark(self, mark: RedriveMark, record: Record, cursor: EndpointCursor) -> None:
        """Open the end of a redrive at its cursor and add it to the lane that it may release."""
        offset, size_bytes = record.offset, record.size_bytes
        cursor.open(offset, size_bytes)
        if self._queue.push(mark.lane, QueuedMark(mark, cursor, offset, size_bytes)):
            self._queue.wake()

    def turn(self, on: bool, since_s: float = 0.0) -> None:
        """Stop sending from now on, or continue. ``since_s``: Unix seconds.

        Continuing tries at once, also if the endpoint was on: the breaker, a ``Retry-After`` and the delays
        of retries give way to one attempt. The time before does not count against an event's ``max_age_s``.
        """
        if on:
            self._retries.begin(since_s)
            if self._park_limit is not None:
                self._park_limit.reset()
            self.gate.try_now(self._clock.monotonic())
            self._queue.retry_now()
        self._queue.turn(on)

    def switch_types(self, off: re.Pattern[str] | None) -> None:
        """Send no event whose type matches ``off``. One that waits is settled unsent in its turn."""
        self._types_off = off

    def wake(self) -> None:
        """Look for an event to send: the gate may admit one."""
        self._queue.wake()

    def drop(self, cursor: EndpointCursor) -> None:
        """Drop what is queued for a cursor that has ended; what is in flight ends without an effect."""

        def is_dropped(item: LaneItem) -> bool:
            if item.cursor is not cursor:
                return False
            self._release(item)
            return True

        self._queue.drop(is_dropped)

    def set_share(self, share: float) -> None:
        """Use this part of the endpoint's rate; see ``Gate.set_share``."""
        self._share = share
        self.gate.set_share(share)
        self._queue.wake()

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start to deliver; see ``Workers.start``."""
        return self._workers.start(tasks, self._concurrency)

    def stop(self) -> None:
        """Cancel the workers, for good."""
        self._workers.stop()

    async def drain(self) -> None:
        """Drop what is queued and return when nothing is in flight; enqueue nothing meanwhile.

        Until ``forget``, nothing is tried again: the assignment is about to end, and a retry whose 2xx
        came after the last commit would be repeated by the next owner.
        """
        self._draining = True
        self._queue.clear(self._release)
        if self.in_flight:
            self._idle.clear()
            await self._idle.wait()

    def forget(self) -> None:
        """Drop everything that is queued or waits for a retry: the assignment has ended."""
        self._queue.clear(self._release)
        self._attempt_log.write_successes()
        self._draining = False

    async def _work(self) -> None:
        while True:
            lane = self._queue.take() or await self._queue.next_lane()
            self.in_flight += 1
            try:
                item = lane.items[0]
                if (instead := self._instead(lane, item)) is not None:
                    await instead
                elif isinstance(item, Delivery):
                    try:
                        judgement = await self._client.attempt(item, self._retries.plan)
                    except Exception as exc:
                        judgement = self._failed_inside(item, exc)
                    if judgement is DELIVERED:
                        self._complete(lane, item)
                    else:
                        await self._act(lane, item, judgement)
            finally:
                self.in_flight -= 1
                if not self.in_flight:
                    self._idle.set()
            del lane, item  # a worker that waits would keep its last event alive, with its decoded data

    def _instead(self, lane: Lane[LaneItem], item: LaneItem) -> Coroutine[Any, Any, None] | None:
        """Return what is to be done with the head of a lane instead of an attempt; None to make one."""
        if not isinstance(item, Delivery):
            return self._end_redrive(lane, item)
        event, parking = item.event, self._parking
        if self._types_off is not None and self._is_off(event):
            return self._settle_unsent(lane, item)
        if not self._may_send():
            return self._wait_for_lease(lane)
        if parking.holds is not None and (hold := parking.hold_on(event)) is not None:
            return self._park_held(lane, item, hold)
        if item.park_cause:
            return self._park(lane, item, item.park_cause, item.park_reason)
        return None

    async def _settle_unsent(self, lane: Lane[LaneItem], delivery: Delivery) -> None:
        self._metrics.events_off.inc()
        self._complete(lane, delivery)

    async def _wait_for_lease(self, lane: Lane[LaneItem]) -> None:
        self._retry_later(lane, _LEASE_WAIT_S)

    def _failed_inside(self, delivery: Delivery, exc: Exception) -> Judgement:
        """Log an error of this program in an attempt, which is repeated like one that failed."""
        self._log_failed_inside(delivery.event)
        failed = Judgement(Verdict.AGAIN, f"internal error: {type(exc).__name__}")
        return self._retries.plan(delivery, failed)

    def _log_failed_inside(self, event: Event) -> None:
        place = event.record.place
        self._sparse_log.exception(events.DELIVERY_FAILED_INSIDE, endpoint=self.name, place=place)

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

    def _is_off(self, event: Event) -> bool:
        """Return True if its type was switched off while it waited. An operator's redrive is sent anyway."""
        if event.resend is not None and event.resend.endpoint:
            return False
        return self._types_off is not None and self._types_off.match(event.type) is not None

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
