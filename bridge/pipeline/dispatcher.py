"""Steps 6 to 11 for one endpoint: from the head of a lane to a settled event.

    next lane 6 -> attempt 7 to 10 -> settle 11, or retry later, or park

``intake.py`` enqueues deliveries, and ``attempt.py`` makes one attempt. ``lane_heads.py`` acts on what it
was judged to be.
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
from bridge.errors import DecodeError, FilterError
from bridge.model import Event, Record, RedriveMark, Verdict
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.delivery_parts import DeliveryParts, Settles
from bridge.pipeline.lane_heads import LaneHeads
from bridge.pipeline.lane_queue import Delivery, LaneItem, LaneQueue, QueuedMark
from bridge.pipeline.parking import EventParking, refused_before
from bridge.pipeline.retry_plan import RetryPlan
from bridge.pipeline.workers import Workers
from bridge.telemetry import events
from bridge.telemetry.metrics import EndpointMetrics
from bridge.telemetry.sparse_log import SparseLog

_log = structlog.get_logger()


class EndpointDispatcher(LaneHeads):
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

    def _failed_inside(self, delivery: Delivery, exc: Exception) -> Judgement:
        """Log an error of this program in an attempt, which is repeated like one that failed."""
        self._log_failed_inside(delivery.event)
        failed = Judgement(Verdict.AGAIN, f"internal error: {type(exc).__name__}")
        return self._retries.plan(delivery, failed)

    def _log_failed_inside(self, event: Event) -> None:
        place = event.record.place
        self._sparse_log.exception(events.DELIVERY_FAILED_INSIDE, endpoint=self.name, place=place)

    def _is_off(self, event: Event) -> bool:
        """Return True if its type was switched off while it waited. An operator's redrive is sent anyway."""
        if event.resend is not None and event.resend.endpoint:
            return False
        return self._types_off is not None and self._types_off.match(event.type) is not None
