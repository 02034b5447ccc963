"""Step 6, for the workers: wait for a lane that may run now.

``bridge/core/lanes.py`` decides which item of a lane is next. This file adds the waiting: for a lane
that is ready, for an endpoint that is switched on, for its gate, and for retries that are due.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bridge.clock import Clock
from bridge.core.lanes import Lane, Lanes
from bridge.core.limits import Gate
from bridge.errors import DecodeError, FilterError
from bridge.history.attempt import Later
from bridge.model import Event, RedriveMark
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.reasons import ParkReason

_PLENTY, _LOW = 256, 128
"""Ready lanes. The fewer last for some 20 ms at full speed, and another batch takes less."""
_SHORTEST_WAIT_S = 0.001
"""A shorter timer might fire before the clock has moved."""
FIX_RECEIVER = "fix the cause at the receiver, then send it again"


UNBOUNDED = 1 << 31
"""More events than any batch may have."""


class Batching(NamedTuple):
    """What an event that failed in a batch of several allows for the next one.

    ``most`` is the largest batch that it may be in. With ``ends_lane``, no later event of its ordering key
    may be in the same one.
    """

    most: int
    ends_lane: bool


class Delivery:
    """One event on its way to one endpoint.

    ``part`` is the event's ``index``, ``cost_bytes`` what the memory budget counts for the record.
    ``attempts`` and ``first_failed_at`` (Unix seconds) include earlier
    processes. ``fault`` is set if it is unknown whether the endpoint selects the
    event: it is parked in its turn. ``remedy`` is for the case that the event is parked. ``status`` is that
    of the last answer, 0 without one. ``park_cause`` is set once the event is not to be sent any more, but to
    be parked: its dead letter may wait for an operator, or for another process (``Failures.refused``).
    ``park_reason`` is the kind of that cause.
    ``later``: where the history reads when the next attempt is due, after one that failed. ``retry_s`` is the
    delay until then; None after the last attempt.
    ``batching`` is set once the event failed in a batch of several.

    Most events are delivered at once, so what belongs to a failure has its default in the class.
    """

    first_failed_at: float | None = None
    fault: DecodeError | FilterError | None = None
    remedy: str = FIX_RECEIVER
    status: int = 0
    park_cause: str = ""
    park_reason: ParkReason = ParkReason.LEFT_OVER
    later: Later | None = None
    retry_s: float | None = None
    batching: Batching | None = None

    def __init__(
        self,
        event: Event,
        cursor: EndpointCursor,
        offset: int,
        size_bytes: int,
        part: int,
        attempts: int = 0,
        cost_bytes: int = 0,
    ) -> None:
        self.event = event
        self.cursor = cursor
        self.offset = offset
        self.size_bytes = size_bytes
        self.part = part
        self.attempts = attempts
        self.cost_bytes = cost_bytes

    @property
    def ends_lane(self) -> bool:
        """Return True if no later event of its ordering key may be in the same batch."""
        return self.batching is not None and self.batching.ends_lane


@dataclass(slots=True, eq=False)
class QueuedMark:
    """The end of a redrive, in its lane after the events of the redrive."""

    mark: RedriveMark
    cursor: EndpointCursor
    offset: int
    size_bytes: int
    part: int = 0


LaneItem = Delivery | QueuedMark


class LaneQueue(Lanes[LaneItem]):
    """The lanes of one endpoint, and the workers that wait for one.

    One timer per endpoint waits for the gate, not every worker. Waking one worker is enough: a worker
    that gets a lane wakes the next one while more lanes are ready. A worker is started when a lane is ready
    and none sleeps: an endpoint without events has none.

    Invariant: while a lane may run, no worker sleeps unless another one is awake, and one is awake unless all
    are busy.
    """

    def __init__(self, clock: Clock, gate: Gate) -> None:
        super().__init__(on_blocked=lambda item, change: item.cursor.count_blocked(change))
        self._clock = clock
        self._gate = gate
        self._on = True
        self.sleepers: deque[asyncio.Future[None]] = deque()
        """The workers that wait. After a ``push`` that makes a lane ready, call ``wake`` if there are any."""
        self.vacancies = 0
        """How many workers may still be started."""
        self._start_worker: Callable[[], None] = lambda: None
        self._on_low: Callable[[], None] = lambda: None
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0
        self._due_timer: asyncio.Handle | None = None
        self._due_at = 0.0

    def employ(self, start_worker: Callable[[], None], number: int) -> None:
        """Start up to so many workers from now on, more than before, when there is something for them."""
        self._start_worker = start_worker
        self.vacancies += number
        self.wake()

    @property
    def has_plenty(self) -> bool:
        """Return True if more events would only wait in memory: so many lanes are ready."""
        return len(self._ready) >= _PLENTY

    def tell_when_low(self, on_low: Callable[[], None]) -> None:
        """Call ``on_low`` when there is no plenty any more, with lanes left until more events are there."""
        self._on_low = on_low

    def dismiss(self) -> None:
        """Start no worker from now on, and wake none by a timer."""
        self.vacancies = 0
        for timer in (self._timer, self._due_timer):
            if timer is not None:
                timer.cancel()

    @property
    def on(self) -> bool:
        """Return True if lanes are given to workers."""
        return self._on

    def turn(self, on: bool) -> None:
        """Start or stop giving lanes to workers."""
        self._on = on
        self.wake()

    def take(self) -> Lane[LaneItem] | None:
        """Return a lane that may run now, running, for a request that is sent before anything is awaited.

        None if there is no such lane: then wait for ``next_lane``.
        """
        if not self._on or not self._ready:
            return None
        gate = self._gate
        if not gate.is_open and (wait_s := gate.admit(self._clock.monotonic())) > 0:
            self._wake_in(wait_s)
            return None
        lane = self.pop()
        if left := len(self._ready):
            if left == _LOW:
                self._on_low()
            if self.sleepers or self.vacancies:
                self.wake()
        return lane

    async def next_lane(self) -> Lane[LaneItem]:
        """Wait for a lane that may run now and return it, running; see ``take``."""
        while (lane := self.take()) is None:
            sleeper = asyncio.get_running_loop().create_future()
            self.sleepers.append(sleeper)
            await sleeper
        return lane

    def wake(self) -> None:
        """Wake one worker, or start one if none sleeps and a lane is ready, to look for a lane."""
        while self.sleepers:
            sleeper = self.sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return
        if self.vacancies and self._ready and self._on:
            self.vacancies -= 1
            self._start_worker()

    def wake_for(self, lanes: int) -> None:
        """Wake or start a worker for each of so many lanes that became ready, as far as there are any."""
        while lanes and (self.sleepers or self.vacancies):
            self.wake()
            lanes -= 1

    def oldest_ms(self) -> int | None:
        """Return the record timestamp of the oldest event that waits, in milliseconds; None if none does.

        It looks at the head of each lane: call it per scrape, not per event.
        """
        waiting = (head.event.record.timestamp_ms for head in self.heads() if isinstance(head, Delivery))
        return min(waiting, default=None)

    def use_gate(self, gate: Gate) -> None:
        """Ask another gate from now on when a request may be sent."""
        self._gate = gate
        self.wake()

    def retry_later(self, lane: Lane[LaneItem], delay_s: float) -> None:
        """Run the head of a running lane again after ``delay_s``; until then the lane waits."""
        self.defer(lane, self._clock.monotonic() + delay_s)
        self._set_due_timer()

    def retry_now(self) -> None:
        """Make all lanes ready that wait for a retry."""
        if self.release(math.inf):
            self.wake()

    def clear(self, dropped: Callable[[LaneItem], None] = lambda item: None) -> None:
        """Drop everything that is queued or waits for a retry; heads in flight stay.

        ``dropped`` is called with each item.
        """

        def is_dropped(item: LaneItem) -> bool:
            dropped(item)
            return True

        self.drop(is_dropped)

    def _set_due_timer(self) -> None:
        """Have ``_release_due`` called when the next retry is due."""
        due_at = self.next_due_at
        if due_at is None:
            return
        if self._due_timer is not None:
            if self._due_at <= due_at:
                return
            self._due_timer.cancel()
        wait_s = max(due_at - self._clock.monotonic(), _SHORTEST_WAIT_S)
        self._due_timer = asyncio.get_running_loop().call_later(wait_s, self._release_due)
        self._due_at = due_at

    def _release_due(self) -> None:
        """Make lanes ready whose retry is due."""
        self._due_timer = None
        if self.release(self._clock.monotonic()):
            self.wake()
        self._set_due_timer()

    def _wake_in(self, wait_s: float) -> None:
        """Wake a worker in ``wait_s`` at the latest."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(wait_s, _SHORTEST_WAIT_S)
        if self._timer is not None:
            if self._wakes_at <= at:
                return
            self._timer.cancel()
        # uvloop returns a handle without ``when()`` for an instant that is less than half a millisecond away
        self._timer, self._wakes_at = loop.call_at(at, self._timer_fired), at

    def _timer_fired(self) -> None:
        self._timer = None
        self.wake()
