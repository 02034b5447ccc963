"""Step 6, lanes: which delivery may run next, one at a time per ordering key.

Takes items with a lane key, gives lanes whose head may run. Rule floor, pure: knows neither time
(instants are handed in) nor what an item is.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lane(Generic[Item]):
    """The deliveries of one ordering key, oldest first; only the head may be in flight."""

    __slots__ = ("_due_at", "blocked", "items", "key", "running", "told")

    def __init__(self, key: Hashable | None) -> None:
        self.key = key
        self.items: deque[Item] = deque()
        self.running = False
        self.blocked = False
        """From the first failure of a head until it is settled."""
        self.told: list[tuple[Item, int]] = []
        """What was told of blocked items here, so that exactly that is taken back."""
        self._due_at: float | None = None

    @property
    def head(self) -> Item:
        """The oldest item, the one that runs or waits to run again."""
        return self.items[0]


class Lanes(Generic[Item]):
    """All lanes of one endpoint.

    Throughput must not depend on the number of partitions, and a failing entity must hold back
    only itself; so deliveries run side by side, but never two of one lane. A lane is in exactly
    one of three places: ready (in line for a worker), running, or waiting for its retry. Ready
    lanes take turns: a lane that has more goes to the end of the line, so that nobody starves.

    A lane whose head failed is blocked until that head is settled: what stands in it cannot run,
    however many workers are free, and whoever counts what may be taken on has to know. ``blocked``
    is told an item and by how many more (or fewer) items like it are blocked now.
    """

    def __init__(self, blocked: Callable[[Item, int], None] = lambda item, change: None) -> None:
        self._tell_blocked = blocked
        self._lanes: dict[Hashable, Lane[Item]] = {}
        self._ready: deque[Lane[Item]] = deque()
        self._waiting: list[tuple[float, int, Lane[Item]]] = []
        self._ticket = 0

    def push(self, key: Hashable | None, item: Item) -> bool:
        """Add an item behind the others of its key; True when its lane became ready by it.

        A key of ``None`` asks for no order: the item is a lane of its own.
        """
        if key is None:
            lane: Lane[Item] = Lane(None)
        else:
            found = self._lanes.get(key)
            if found is not None:
                found.items.append(item)
                if found.blocked:
                    self._tell(found, item, 1)
                return False
            lane = self._lanes[key] = Lane(key)
        lane.items.append(item)
        self._ready.append(lane)
        return True

    def pop(self) -> Lane[Item] | None:
        """The lane that has been ready longest, now running; None when none is ready."""
        if not self._ready:
            return None
        lane = self._ready.popleft()
        lane.running = True
        return lane

    def finish(self, lane: Lane[Item]) -> bool:
        """The head of a running lane is done; True when its next item became ready by it."""
        lane.running = False
        if lane.blocked:
            self._unblock(lane)
        lane.items.popleft()
        if lane.items:
            self._ready.append(lane)
            return True
        if lane.key is not None:
            del self._lanes[lane.key]
        return False

    def _block(self, lane: Lane[Item]) -> None:
        lane.blocked = True
        self._tell(lane, lane.items[-1], len(lane.items))

    def _tell(self, lane: Lane[Item], item: Item, number: int) -> None:
        lane.told.append((item, number))
        self._tell_blocked(item, number)

    def _unblock(self, lane: Lane[Item]) -> None:
        """Take back what was told: the items of a lane need not be counted in one place."""
        lane.blocked = False
        for item, number in lane.told:
            self._tell_blocked(item, -number)
        lane.told.clear()

    def defer(self, lane: Lane[Item], due_at: float) -> None:
        """The head of a running lane runs again at ``due_at``; until then the lane waits."""
        lane.running = False
        if not lane.blocked:
            self._block(lane)
        lane._due_at = due_at
        self._ticket += 1
        heapq.heappush(self._waiting, (due_at, self._ticket, lane))

    def release(self, now: float) -> int:
        """Make the waiting lanes whose time has come ready; how many did."""
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
        """When the next waiting lane is due, or None."""
        while self._waiting and self._waiting[0][2]._due_at != self._waiting[0][0]:
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def drop(self, doomed: Callable[[Item], bool]) -> int:
        """Forget queued items (their partition was revoked); heads in flight stay; how many went.

        A running lane keeps its head, so that the same events, should they come back at once,
        queue behind it instead of running beside it.
        """
        dropped = 0
        lanes = {id(lane): lane for lane in self._lanes.values()}
        lanes.update({id(lane): lane for lane in self._ready})
        lanes.update({id(entry[2]): entry[2] for entry in self._waiting if entry[2]._due_at == entry[0]})
        for lane in lanes.values():
            head = [lane.items.popleft()] if lane.running else []
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

    @property
    def ready(self) -> int:
        """How many lanes could run now."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """How many lanes wait for a retry."""
        return sum(1 for due_at, _, lane in self._waiting if lane._due_at == due_at)
