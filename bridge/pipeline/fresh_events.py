"""Which events keep their decoded data: the newest ones, which are probably sent in a moment.

Decoded data uses five times the bytes of its record or more. An event that has to wait therefore keeps
its record alone. Invariant: the records of the events that keep more are at most ``max_bytes`` together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from bridge.model import Event


class FreshEvents:
    """The newest events of all readers, oldest first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[tuple[Event, int]] = deque()

    def add(self, events: Iterable[Event]) -> None:
        """Add events that begin to wait, and let the oldest forget their decoded data."""
        total = self._bytes
        for event in events:
            size_bytes = len(event.record.value or b"")
            self._events.append((event, size_bytes))
            total += size_bytes
        while total > self._max_bytes:
            event, size_bytes = self._events.popleft()
            total -= size_bytes
            event.forget_decoded()
        self._bytes = total
