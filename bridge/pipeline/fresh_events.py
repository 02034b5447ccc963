"""Which events keep their decoded data: the newest ones, which are probably sent in a moment.

Decoded data uses five times the bytes of its record or more. An event that has to wait therefore keeps
its record alone. Invariant: the records of the events that keep more are at most ``max_bytes`` together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bridge.model import Event

_BESIDES_BYTES = 200
"""Counted for each event as well: a decoded value of a few bytes uses ten times as much."""


class FreshEvents:
    """The newest events of all readers that are not settled, oldest first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[Event] = deque()

    def add(self, events: Iterable[Event]) -> None:
        """Add events that begin to wait, and let the oldest forget their decoded data.

        Settled events are dropped from the front: kept alive, they would only cost memory and garbage
        collections.
        """
        queue, total = self._events, self._bytes
        for event in events:
            queue.append(event)
            total += _BESIDES_BYTES + len(event.record.value or b"")
        while queue:
            event = queue[0]
            waits = (event.first or event).holders
            if waits and total <= self._max_bytes:
                break
            queue.popleft()
            total -= _BESIDES_BYTES + len(event.record.value or b"")
            if waits:
                event.forget_decoded()
        self._bytes = total
