"""Which events keep their decoded data: the newest ones, which are probably sent in a moment.

Decoded data uses five times the bytes of its record or more. An event that has to wait therefore keeps
its record alone. Invariant: the records of the events that keep more are at most ``max_bytes`` together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from bridge.model import Event

_value = attrgetter("record.value")
_BESIDES_BYTES = 200
"""Counted for each event as well: a decoded value of a few bytes uses ten times as much."""


class FreshEvents:
    """The newest events of all readers that are not settled, oldest first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[Event] = deque()

    def add(self, events: Sequence[Event]) -> None:
        """Add events that begin to wait, and let the oldest forget their decoded data.

        Settled events are dropped from the front: kept alive, they would only cost memory and garbage
        collections.
        """
        queue = self._events
        queue.extend(events)
        self._bytes += _size_of(events)
        while True:
            self._drop_settled()
            if not queue or self._bytes <= self._max_bytes:
                return
            oldest = queue.popleft()
            self._bytes -= _size_of((oldest,))
            oldest.forget_decoded()

    def _drop_settled(self) -> None:
        """Drop the settled events before the oldest one that waits."""
        queue, settled = self._events, 0
        for event in queue:
            if (event.first or event).holders:
                break
            settled += 1
        if settled:
            self._bytes -= _size_of([queue.popleft() for _ in range(settled)])


def _size_of(events: Sequence[Event]) -> int:
    """Return the bytes of the events' values, and what is counted besides; no Python code runs per event."""
    return len(events) * _BESIDES_BYTES + sum(map(len, filter(None, map(_value, events))))
