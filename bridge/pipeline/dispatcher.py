"""Steps 6 to 11 for one endpoint: from the head of a lane to a settled event.

    take a lane -> render 7 -> sign 8 -> deliver 9 -> verdict 10 -> settle 11, or wait, or park

``Pipeline`` puts deliveries in; ``Cursor`` is told what is settled.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from bridge.clock import Clock
from bridge.core.backoff import RetrySchedule
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.core.lanes import Lane
from bridge.core.limits import Pace
from bridge.core.signing import Signer
from bridge.core.verdict import Judgement, OwnVerdict, by_status, judge
from bridge.dead_letters.hold import Hold
from bridge.dead_letters.lane_holds import HeldLanes
from bridge.dead_letters.park import DeadLetterWriter, letter_facts, park_durably
from bridge.dead_letters.topic import Reason
from bridge.errors import DecodeError, FilterError, RenderError
from bridge.model import Event, Verdict
from bridge.pipeline.attempt import Deliverer
from bridge.pipeline.lane_queue import LaneQueue
from bridge.rendering import Renderer
from bridge.telemetry import events
from bridge.telemetry.metrics import EndpointMetrics

_log = structlog.get_logger()
_LEASE_WAIT_S = 0.5
_PACE_STEP_S = 0.001
_PACE_WAIT_S = 1.0
"""How long a worker sleeps at most before it asks again whether it may send."""
_QUIET_S = 60.0
_MEND_RECEIVER = "mend the cause at the receiver, then send it again"
_MEND_FIRST = "redrive or discard the event it waits for: this one follows"
_MEND_RENDERING = "correct the endpoint's template or what writes this event, or leave its type out of events"


@dataclass(slots=True, eq=False)
class Delivery:
    """One event on its way to one endpoint."""

    event: Event
    cursor: Cursor[Failures]
    size_bytes: int
    attempts: int = 0
    first_failed_at: float | None = None
    fault: DecodeError | FilterError | None = None
    remedy: str = _MEND_RECEIVER


class Outlet:
    """Delivers to one endpoint: ``concurrency`` workers over its lanes.

    Each delivery that was put in ends in exactly one of four ways: settled at its cursor after a
    2xx; settled after it is safe in the dead-letter topic; settled unsent because its type was
    switched off; or given up with its assignment, whose cursor is no longer live, so that the next
    owner of the partition reads it again.

    While it is off, its workers take no lane: what is in flight finishes, nothing else is sent, and
    what was put in waits where it is. ``turn_off`` is told (endpoint, reason) when the receiver
    asks for that, once. ``own_verdict`` is what this kind of receiver means by its answers.

    ``held`` is there when the endpoint holds a lane whose event was parked (``on_park: hold``).
    """

    def __init__(
        self,
        name: str,
        *,
        concurrency: int,
        renderer: Renderer,
        deliverer: Deliverer,
        signer: Signer,
        schedule: RetrySchedule,
        pace: Pace,
        parks: DeadLetterWriter,
        metrics: EndpointMetrics,
        clock: Clock,
        settle: Callable[[Cursor[Failures], int, int, int], None],
        may_send: Callable[[], bool],
        turn_off: Callable[[str, str], None],
        own_verdict: OwnVerdict = by_status,
        held: HeldLanes | None = None,
    ) -> None:
        self.name = name
        self.in_flight = 0
        self.types_off: re.Pattern[str] | None = None
        """Event types that are not to be sent: what of them waits is settled unsent in its turn."""
        self._quiet_until = -_QUIET_S
        self._draining = False
        self._concurrency = concurrency
        self._renderer = renderer
        self._deliverer = deliverer
        self._signer = signer
        self._schedule = schedule
        self.pace = pace
        self._parks = parks
        self._metrics = metrics
        self._clock = clock
        self._settle_at_cursor = settle
        self._may_send = may_send
        self._turn_off = turn_off
        self._own_verdict = own_verdict
        self._held = held
        self._on = asyncio.Event()
        self._on.set()
        self._on_since = 0.0
        self._lanes: LaneQueue[Delivery] = LaneQueue(
            clock, lambda delivery, change: delivery.cursor.count_blocked(change)
        )
        self._gone_quiet = asyncio.Event()

    def put(
        self, event: Event, cursor: Cursor[Failures], fault: DecodeError | FilterError | None = None
    ) -> None:
        """Take one event over: open at its cursor, in line in its lane, with the attempts it has had.

        ``fault``: why nobody can say whether the endpoint wants it; it is parked in its turn.
        """
        offset, size_bytes = event.record.offset, len(event.record.value or b"")
        cursor.open(offset, size_bytes)
        delivery = Delivery(event, cursor, size_bytes, fault=fault)
        failed = cursor.failure(offset, event.index)
        if failed is not None:
            delivery.attempts, delivery.first_failed_at = failed.attempts, failed.first_at_s
        self._lanes.put(event.lane, delivery)

    @property
    def on(self) -> bool:
        """Whether it sends."""
        return self._on.is_set()

    def turn(self, on: bool, since_s: float = 0.0) -> None:
        """Send nothing more from now on, or go on where it was. ``since_s``: Unix seconds.

        The time before it was turned on does not count against an event's ``max_age_s``.
        """
        if on:
            self._on_since = since_s
            self._on.set()
        else:
            self._on.clear()

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the workers and the task that wakes lanes whose retry is due; cancel them to stop."""
        return [
            tasks.create_task(self._lanes.release_due(), name=f"{self.name}-retries"),
            *(
                tasks.create_task(self._work(), name=f"{self.name}-{number}")
                for number in range(self._concurrency)
            ),
        ]

    async def drain(self) -> None:
        """Forget what is queued and return when nothing is in flight; nothing may be put in meanwhile.

        From here until ``forget`` nothing is tried again: the assignment is about to end, and a
        retry whose 2xx came after its last commit would be repeated by the next owner.
        """
        self._draining = True
        self._lanes.drop()
        if self.in_flight:
            self._gone_quiet.clear()
            await self._gone_quiet.wait()

    def forget(self) -> None:
        """Forget everything that is queued or waits for a retry; the drain, if there was one, is over."""
        self._lanes.drop()
        self._deliverer.tell()
        self._draining = False

    async def _work(self) -> None:
        while True:
            while not self._on.is_set():  # turned off again, maybe, before this worker woke
                await self._on.wait()
            wait_s = self.pace.admit(self._clock.monotonic()) if self._lanes.ready else 0.0
            if wait_s > 0:
                await asyncio.sleep(min(max(wait_s, _PACE_STEP_S), _PACE_WAIT_S))
                continue
            lane = self._lanes.take()
            if lane is None:
                await self._lanes.wait()
                continue
            self.in_flight += 1
            try:
                await self._run(lane)
            finally:
                self.in_flight -= 1
                if not self.in_flight:
                    self._gone_quiet.set()

    async def _run(self, lane: Lane[Delivery]) -> None:
        """One attempt for the head of a lane, and what follows from it."""
        delivery = lane.head
        if self._is_off(delivery.event):
            self._metrics.events_off.inc()
            self._settle(lane, delivery)
            return
        if not self._may_send():
            self._wait(lane, _LEASE_WAIT_S)
            return
        if delivery.event.covers is not None:
            await self._end_round(lane, delivery)
            return
        hold = self._held.blocking_hold(delivery.event) if self._held else None
        if hold is not None:
            await self._park_behind(lane, delivery, hold)
            return
        try:
            judgement = await self._attempt(delivery)
        except Exception as exc:
            _log.exception(
                events.DELIVERY_FAILED_INSIDE, endpoint=self.name, place=delivery.event.record.place
            )
            judgement = Judgement(Verdict.AGAIN, f"internal error: {type(exc).__name__}")
        match judgement.verdict:
            case Verdict.DELIVERED:
                self._settle(lane, delivery)
            case Verdict.PARK:
                await self._park(lane, delivery, judgement.reason)
            case Verdict.AGAIN:
                await self._again(lane, delivery, judgement)
            case Verdict.OFF:
                self._refused_for_good(lane, delivery, judgement)

    def _is_off(self, event: Event) -> bool:
        """Whether its type was switched off while it waited; an operator's redrive goes all the same."""
        off = self.types_off
        return off is not None and not event.only and off.match(event.type) is not None

    async def _attempt(self, delivery: Delivery) -> Judgement:
        event, deliverer = delivery.event, self._deliverer
        delivery.attempts += 1
        try:
            if delivery.fault is not None:
                raise delivery.fault
            rendered = self._renderer.render(event)
        except (DecodeError, FilterError) as exc:
            delivery.remedy = exc.remedy
            return Judgement(Verdict.PARK, f"{exc.place}: {exc.cause}")
        except RenderError as exc:
            delivery.remedy = _MEND_RENDERING
            return Judgement(Verdict.PARK, str(exc))
        signature = self._signer.headers(event.webhook_id, int(self._clock.time()), rendered.body)
        request = deliverer.request(rendered, signature)
        number = self.pace.sent(self._clock.monotonic())
        try:
            outcome = await deliverer.attempt(request)
        except BaseException:
            self.pace.abandoned(number)
            raise
        judgement = judge(outcome.answer, outcome.at + outcome.duration_s, self._own_verdict)
        now = self._clock.monotonic()
        self.pace.answered(now, judgement.kind, judgement.retry_after_s, number=number)
        deliverer.keep(event, delivery.attempts, request, outcome, judgement)
        return judgement

    async def _again(self, lane: Lane[Delivery], delivery: Delivery, judgement: Judgement) -> None:
        if not delivery.cursor.live:
            self._settle(lane, delivery)
            return
        now = self._clock.time()
        if delivery.first_failed_at is None:
            delivery.first_failed_at = now
        event = delivery.event
        note = Failures(delivery.attempts, int(delivery.first_failed_at))
        delivery.cursor.record_failure(event.record.offset, note, event.index)
        age_s = now - max(delivery.first_failed_at, self._on_since)
        retry = self._schedule.next_retry(delivery.attempts, age_s, judgement.retry_after_s)
        if retry.delay_s is None:
            await self._park(lane, delivery, f"{retry.reason}; the last: {judgement.reason}")
            return
        self._wait(lane, retry.delay_s)

    def _refused_for_good(self, lane: Lane[Delivery], delivery: Delivery, judgement: Judgement) -> None:
        """The endpoint wants no more of anything: the event waits, first in its lane, as if never sent.

        A 2xx that says so took its own event with it.
        """
        if self.on and delivery.cursor.live:
            self.turn(False)
            self._turn_off(self.name, judgement.reason)
        if judgement.kind == "ok" or not delivery.cursor.live:
            self._settle(lane, delivery)
            return
        delivery.attempts -= 1
        self._wait(lane, 0.0)

    def _wait(self, lane: Lane[Delivery], delay_s: float) -> None:
        if self._draining:
            self._lanes.settle(lane)
            return
        self._lanes.defer(lane, delay_s)

    async def _end_round(self, lane: Lane[Delivery], delivery: Delivery) -> None:
        """All of a redrive has passed: the lane is free, or it is said that it is not."""
        held = self._held
        if held is None or await held.release(
            delivery.event, delivery.cursor, lambda: self._may_wait(delivery)
        ):
            self._settle(lane, delivery)
        else:
            self._lanes.settle(lane)

    async def _park_behind(self, lane: Lane[Delivery], delivery: Delivery, hold: Hold) -> None:
        """Park what may not overtake an event that was parked before."""
        assert self._held is not None, "there is a hold"
        if self._held.is_awaited(delivery.event, hold):
            self._settle(lane, delivery)
            return
        delivery.remedy = _MEND_FIRST
        await self._park(lane, delivery, f"held behind {hold.first}", {"held-behind": hold.first})

    def _may_wait(self, delivery: Delivery) -> bool:
        """Whether the assignment goes on, so that what failed at the broker may be tried again."""
        return delivery.cursor.live and not self._draining

    async def _park(
        self,
        lane: Lane[Delivery],
        delivery: Delivery,
        cause: str,
        details: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if not delivery.cursor.live:  # whoever has the partition now tries it itself
            self._settle(lane, delivery)
            return
        event = delivery.event
        reason = Reason(
            cause=cause,
            remedy=delivery.remedy,
            endpoint=self.name,
            details={**letter_facts(event, delivery.attempts), **details},
            logged=self._is_news(delivery),
        )
        origin = event.origin or event.record
        if await park_durably(
            self._parks, origin, reason, lambda: self._may_wait(delivery)
        ) and await self._keep_held(delivery, cause):
            self._metrics.parked.inc()
            self._settle(lane, delivery)
        else:
            self._lanes.settle(lane)

    async def _keep_held(self, delivery: Delivery, cause: str) -> bool:
        """Whether an event that is safely parked may settle: its lane is held, or need not be."""
        return self._held is None or await self._held.hold_lane(
            delivery.event, cause, delivery.cursor, lambda: self._may_wait(delivery)
        )

    def _is_news(self, delivery: Delivery) -> bool:
        """Whether the log names this parking: a wrong filter parks all it sees, said once a minute."""
        if not isinstance(delivery.fault, FilterError):
            return True
        now = self._clock.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + _QUIET_S
        return True

    def _settle(self, lane: Lane[Delivery], delivery: Delivery) -> None:
        event = delivery.event
        self._settle_at_cursor(delivery.cursor, event.record.offset, delivery.size_bytes, event.index)
        self._lanes.settle(lane)
