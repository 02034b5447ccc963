"""Decide which delivery runs next: in order per ordering key, and in parallel across keys.

Invariant: two requests of one lane are never in flight at the same time, and each lane runs in the
order of the log. Instants are parameters, and items are opaque.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lane(Generic[Item]):
    """The deliveries of one ordering key, oldest first. Only the first ``running`` may be in flight.

    That is the head alone, but for an endpoint that gets several events in one request.
    """

    __slots__ = ("_due_at", "blocked", "counted", "items", "key", "running")

    def __init__(self, key: Hashable | None) -> None:
        self.key = key
        self.items: deque[Item] = deque()
        self.running = 0
        self.blocked = False
        """True from the first failure of a head until that head is settled."""
        self.counted: list[tuple[Item, int]] = []
        """The calls of ``on_blocked`` for this lane, so that unblocking takes back exactly these."""
        self._due_at: float | None = None

    @property
    def head(self) -> Item:
        """Return the oldest item, which runs or waits for its retry."""
        return self.items[0]


class Lanes(Generic[Item]):
    """All lanes of one endpoint.

    Throughput must not depend on the number of partitions, and a failing entity must delay only
    itself. Deliveries therefore run in parallel, but never two of one lane. Each lane is in exactly
    one of three states: ready (queued for a worker), running, or waiting for its retry. Ready lanes
    take turns: a lane with more items goes to the end of the queue, so that no lane starves.

    A lane whose head failed is blocked until that head is settled: its items cannot run, however many
    workers are free. ``on_blocked(item, change)`` is called when the number of blocked items changes,
    so that the cursors do not count them against their window.
    """

    def __init__(self, on_blocked: Callable[[Item, int], None] = lambda item, change: None) -> None:
        """``on_blocked``: called with an item of the lane, and by how many more (or fewer) are blocked."""
        self._on_blocked = on_blocked
        self._lanes: dict[Hashable, Lane[Item]] = {}
        self._ready: deque[Lane[Item]] = deque()
        self._waiting: list[tuple[float, int, Lane[Item]]] = []
        self._ticket = 0

    def push(self, key: Hashable | None, item: Item) -> bool:
        """Append an item to the lane of its key. Return True if the lane became ready.

        An item without a key needs no order, and gets a lane of its own.
        """
        if key is None:
            lane: Lane[Item] = Lane(None)
        else:
            existing = self._lanes.get(key)
            if existing is not None:
                existing.items.append(item)
                if existing.blocked:
                    self._count_blocked(existing, item, 1)
                return False
            lane = self._lanes[key] = Lane(key)
        lane.items.append(item)
        self._ready.append(lane)
        return True

    def pop(self) -> Lane[Item] | None:
        """Return the lane that has been ready longest, now running; None if no lane is ready."""
        if not self._ready:
            return None
        lane = self._ready.popleft()
        lane.running = 1
        return lane

    def finish(self, lane: Lane[Item]) -> bool:
        """Remove the head of a running lane. Return True if its next item became ready."""
        lane.running = 0
        if lane.blocked:
            self._unblock(lane)
        lane.items.popleft()
        if lane.items:
            self._ready.append(lane)
            return True
        if lane.key is not None:
            del self._lanes[lane.key]
        return False

    def advance(self, lane: Lane[Item], number: int = 1) -> None:
        """Remove the first items of a running lane of which more is in flight: the lane goes on running."""
        if lane.blocked:
            self._unblock(lane)
        for _ in range(number):
            lane.items.popleft()
        lane.running -= number

    def put_back(self, lane: Lane[Item]) -> None:
        """Make a lane ready again that was popped and of which nothing was sent; it is the next one."""
        lane.running = 0
        self._ready.appendleft(lane)

    def _block(self, lane: Lane[Item]) -> None:
        lane.blocked = True
        self._count_blocked(lane, lane.items[-1], len(lane.items))

    def _count_blocked(self, lane: Lane[Item], item: Item, number: int) -> None:
        lane.counted.append((item, number))
        self._on_blocked(item, number)

    def _unblock(self, lane: Lane[Item]) -> None:
        """Take back each count with its own item: the items of a lane may belong to different cursors."""
        lane.blocked = False
        for item, number in lane.counted:
            self._on_blocked(item, -number)
        lane.counted.clear()

    def defer(self, lane: Lane[Item], due_at: float) -> None:
        """Block a running lane until ``due_at``, when its head is retried."""
        lane.running = 0
        if not lane.blocked:
            self._block(lane)
        lane._due_at = due_at
        self._ticket += 1
        heapq.heappush(self._waiting, (due_at, self._ticket, lane))

    def release(self, now: float) -> int:
        """Make the waiting lanes that are due ready. Return how many."""
        released = 0
        while self._waiting and self._waiting[0][0] <= now:
            due_at, _, lane = heapq.heappop(self._waiting)
            if lane._due_at == due_at:
                lane._due_at = None
                self._ready.append(lane)
                released += 1
        return released

    @property
    def next_due_at(self) -> float | None:
        """Return when the next waiting lane is due, or None."""
        while self._waiting and self._waiting[0][2]._due_at != self._waiting[0][0]:
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def drop(self, doomed: Callable[[Item], bool]) -> int:
        """Drop queued items, whose partition was revoked. Return how many. Heads in flight stay.

        A running lane keeps what is in flight: if the same events return at once, they queue after it
        instead of running at the same time.
        """
        dropped = 0
        for lane in self._known():
            head = [lane.items.popleft() for _ in range(lane.running)]
            blocked = lane.blocked
            if blocked:
                self._unblock(lane)
            before = len(head) + len(lane.items)
            lane.items = deque([*head, *(item for item in lane.items if not doomed(item))])
            dropped += before - len(lane.items)
            if blocked and lane.items:
                self._block(lane)
            if not lane.items:
                lane._due_at = None
                if lane.key is not None:
                    del self._lanes[lane.key]
        self._ready = deque(lane for lane in self._ready if lane.items)
        return dropped

    def heads(self) -> Iterator[Item]:
        """Return the oldest item of each lane, except of a lane without a key that runs."""
        return (lane.head for lane in self._known() if lane.items)

    def _known(self) -> Collection[Lane[Item]]:
        """Return every lane once, except a lane without a key that runs: only its worker has it."""
        lanes = {id(lane): lane for lane in self._lanes.values()}
        lanes.update({id(lane): lane for lane in self._ready})
        lanes.update({id(entry[2]): entry[2] for entry in self._waiting if entry[2]._due_at == entry[0]})
        return lanes.values()

    @property
    def ready(self) -> int:
        """Return how many lanes could run now."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """Return how many lanes wait for a retry."""
        return sum(1 for due_at, _, lane in self._waiting if lane._due_at == due_at)
