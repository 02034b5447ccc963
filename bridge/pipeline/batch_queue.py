"""Step 6 for an endpoint with batches: wait for more events, and take those of several lanes at once.

Invariant: what is taken from a lane are its first events, in order. No event waits for others for longer than
the limit on the time, and none waits while there are enough for a full batch, or while no more can come.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.core.batches import BatchLimits
from bridge.core.lanes import Lane
from bridge.core.limits import Gate
from bridge.pipeline.lane_queue import Delivery, LaneItem, LaneQueue
from bridge.rendering import Rendered


@dataclass(slots=True, eq=False)
class Batch:
    """Events that are sent in one request, in order, and the lanes that they were taken from.

    ``items`` are the parts of the body. ``lanes`` has for each lane how many of the events are its own: the
    events of a lane follow each other. ``most`` is how many events the batch may have. ``size_bytes`` is that
    of the body, with one more byte: what follows each event.
    """

    most: int
    deliveries: list[Delivery] = field(default_factory=list)
    rendered: list[Rendered] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    lanes: list[tuple[Lane[LaneItem], int]] = field(default_factory=list)
    size_bytes: int = 0
    is_full: bool = False

    def add(self, delivery: Delivery, rendered: Rendered, item: bytes) -> None:
        """Append an event."""
        self.deliveries.append(delivery)
        self.rendered.append(rendered)
        self.items.append(item)
        self.size_bytes += len(item) + 1
        if delivery.batching is not None:
            self.most = min(self.most, delivery.batching.most)
        self.is_full = len(self.items) >= self.most

    @property
    def webhook_ids(self) -> list[str]:
        """Return the ids of the events, in their order."""
        return [delivery.event.webhook_id for delivery in self.deliveries]

    def by_lane(self) -> Iterator[list[Delivery]]:
        """Return the events of each lane."""
        at, numbers = 0, [number for _, number in self.lanes] or [len(self.deliveries)]
        for number in numbers:
            yield self.deliveries[at : at + number]
            at += number


Prepare = Callable[[Delivery], tuple[Rendered, bytes] | None]
"""Renders an event, and returns its part of a body too; None for an item that cannot be in a batch."""


class BatchQueue(LaneQueue):
    """The lanes of one endpoint, for workers that take several events at once."""

    def __init__(self, clock: Clock, gate: Gate, limits: BatchLimits, frame_bytes: int) -> None:
        """``frame_bytes``: what a body has besides its events and one byte between them."""
        super().__init__(clock, gate)
        self._limits, self._frame_bytes = limits, frame_bytes
        self._since: float | None = None
        """Since when the events that are ready wait for more; None if none waits."""
        self._lacking_events = self._lacking_bytes = 0
        self._is_looked_for = False
        """True from when a worker has to look until one does: all that is pushed meanwhile needs no other."""

    @property
    def has_plenty(self) -> bool:
        """Return False: a large batch needs many events."""
        return False

    def use_limits(self, limits: BatchLimits, frame_bytes: int) -> None:
        """Take batches with these limits from now on; what waits for more has waited since before."""
        self._limits, self._frame_bytes = limits, frame_bytes
        self.wake()

    def look_again(self) -> None:
        """Look whether the events that wait for more are to be sent: it may be that no more can come."""
        if self._since is not None:
            self.wake()

    def push(self, key: Hashable | None, item: LaneItem) -> bool:
        """Append an item. Return True if a worker has to look: the first item waits, or there are enough."""
        look = super().push(key, item)
        if self._since is not None:
            self._lacking_events -= 1
            self._lacking_bytes -= item.size_bytes
            look = self._lacking_events <= 0 or self._lacking_bytes <= 0
        if not look or self._is_looked_for:
            return False
        self._is_looked_for = True
        return True

    def finish(self, lane: Lane[LaneItem]) -> bool:
        """Remove the head of a running lane; the lane goes on running while more of it is in flight."""
        if lane.running > 1:
            self.advance(lane)
            return False
        return super().finish(lane)

    def finish_all(self, lane: Lane[LaneItem]) -> None:
        """Remove all that is in flight of a running lane."""
        if lane.running > 1:
            self.advance(lane, lane.running - 1)
        super().finish(lane)

    def take(self) -> Lane[LaneItem] | None:
        """Return the lane to begin with, running, if there are enough events or they waited long enough."""
        self._is_looked_for = False
        if not self._ready:
            self._since = None
        elif self._on:
            now = self._clock.monotonic()
            wait_s = max(self._gate.admit(now), self._gather_s(now))
            if wait_s <= 0:
                self._since = None
                return self.pop()
            self._wake_in(wait_s)
        return None

    def _gather_s(self, now: float) -> float:
        """Return for how long the events that are ready wait for more; 0 if they are to be sent.

        A full cursor gets no more events before some of these are settled.
        """
        head = self._ready[0].items[0]
        if not isinstance(head, Delivery) or head.batching is not None:
            return 0.0
        events, size_bytes = self._limits.max_events, self._limits.max_bytes
        if len(self._ready) >= events:  # as is usual at a backlog; each lane has an event
            return 0.0
        for lane in self._ready:
            if lane.items[0].cursor.full:
                return 0.0
            events -= len(lane.items)
            size_bytes -= sum(item.size_bytes for item in lane.items) if events > 0 else 0
            if events <= 0 or size_bytes <= 0:
                return 0.0
        self._lacking_events, self._lacking_bytes = events, size_bytes
        if self._since is None:
            self._since = now
        return self._since + self._limits.max_wait_s - now

    def collect(self, lane: Lane[LaneItem], prepare: Prepare) -> Batch | None:
        """Take the events of a batch, beginning with a running lane. Wake a worker for what is left.

        Return None if the head of that lane cannot be in a batch; nothing is taken then.
        """
        batch = Batch(self._limits.max_events, size_bytes=self._frame_bytes)
        self._take(lane, batch, prepare)
        if not batch.items:
            self._wake_for_rest()
            return None
        passed = []
        while not batch.is_full and (other := self.pop()) is not None:
            if not self._take(other, batch, prepare):
                passed.append(other)
        for other in reversed(passed):
            self.put_back(other)
        self._wake_for_rest()
        return batch

    def _wake_for_rest(self) -> None:
        if self._ready and (self.sleepers or self.vacancies):
            self.wake()

    def _take(self, lane: Lane[LaneItem], batch: Batch, prepare: Prepare) -> int:
        """Add the first events of a lane to a batch, as far as they may be in it. Return how many."""
        taken, most_bytes = 0, self._limits.max_bytes
        for item in lane.items:
            if batch.is_full or not isinstance(item, Delivery):
                break
            batching = item.batching
            if batching is not None and len(batch.items) >= batching.most:
                break
            prepared = prepare(item)
            if prepared is None:
                break
            rendered, part = prepared
            if batch.size_bytes + len(part) > most_bytes and batch.items:
                batch.is_full = True
                break
            batch.add(item, rendered, part)
            taken += 1
            if batching is not None and batching.ends_lane:
                break
        if taken:
            lane.running = taken
            batch.lanes.append((lane, taken))
        return taken
