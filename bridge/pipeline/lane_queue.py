"""Step 6, seen by the workers: wait for a lane that may run, and be woken when a retry is due.

``bridge/core/lanes.py`` knows which item may run next; the waiting is here. Takes items with a lane key,
gives lanes to whoever asks. On the event loop; knows nothing of what an item is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from bridge.clock import Clock
from bridge.core.lanes import Lane, Lanes

Item = TypeVar("Item")


class LaneQueue(Generic[Item]):
    """Lanes that workers wait for.

    Invariant: no worker sleeps while a lane is ready that nobody was woken for. ``release_due`` must
    run beside the workers.
    """

    def __init__(self, clock: Clock, blocked: Callable[[Item, int], None]) -> None:
        """``blocked``: see ``Lanes``."""
        self._clock = clock
        self._lanes: Lanes[Item] = Lanes(blocked)
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._due_changed = asyncio.Event()

    def put(self, key: Hashable | None, item: Item) -> None:
        """Add an item behind the others of its key."""
        if self._lanes.push(key, item):
            self._wake()

    @property
    def ready(self) -> int:
        """How many lanes could run now."""
        return self._lanes.ready

    def take(self) -> Lane[Item] | None:
        """The lane that has been ready longest, now running; None when none is ready."""
        return self._lanes.take()

    async def wait(self) -> None:
        """Sleep until a lane became ready, which another worker may have taken meanwhile."""
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        await sleeper

    def settle(self, lane: Lane[Item]) -> None:
        """The head of a running lane is done."""
        if self._lanes.settle(lane):
            self._wake()

    def defer(self, lane: Lane[Item], delay_s: float) -> None:
        """The head of a running lane runs again, this much later; until then the lane waits."""
        self._lanes.defer(lane, self._clock.monotonic() + delay_s)
        self._due_changed.set()

    def drop(self) -> None:
        """Forget everything that is queued or waits for a retry; heads in flight stay."""
        self._lanes.drop(lambda _: True)

    async def release_due(self) -> None:
        """Make lanes ready whose retry is due, until cancelled."""
        while True:
            self._due_changed.clear()
            due_at = self._lanes.next_due_at
            wait_s = None if due_at is None else max(0.0, due_at - self._clock.monotonic())
            try:
                async with asyncio.timeout(wait_s):
                    await self._due_changed.wait()
            except TimeoutError:
                for _ in range(self._lanes.release(self._clock.monotonic())):
                    self._wake()

    def _wake(self) -> None:
        while self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return
