"""The memory that attempts use until the topic has them: one bound for all endpoints. Pure.

Invariant: what waits never uses more than the bound by more than one attempt. Where it would, the oldest
attempts that wait are dropped and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from bridge.history.attempt import Attempt
from bridge.history.row import Entry, Row

ATTEMPT_BYTES = 2_100
"""What an attempt uses besides the bytes of its headers and bodies: the tuple, its texts, and their objects.
Measured by ``tests/unit/history/test_cost_of_an_attempt.py``."""
_ANSWERED_S, _SIZE = Entry._fields.index("answered_s"), Entry._fields.index("size_bytes")
Queue: TypeAlias = deque[Row]
_WAKE_PART = 4
_DROP_PART = 8


def size_of(attempt: Attempt) -> int:
    """Return what an attempt uses in memory."""
    headers, body, answer_headers, answer_body = attempt[-5:-1]
    return (
        ATTEMPT_BYTES + len(headers) + len(body or b"") + len(answer_headers or b"") + len(answer_body or b"")
    )


class Pool:
    """The attempts that wait, by endpoint, and the bytes that they use together.

    ``bytes`` includes what is being written. A quarter of the bound wakes the writers, whatever the
    commit interval is. ``dropped`` is called with the number of attempts that were dropped.
    """

    def __init__(self, most_bytes: int, dropped: Callable[[int], None] = lambda number: None) -> None:
        self.bytes = 0
        self.most_bytes = most_bytes
        self._wake_at = most_bytes // _WAKE_PART
        self.press_at = self._wake_at
        """After adding an attempt, call ``press`` if ``bytes`` are more than this."""
        self._waiting: list[Queue] = []
        self._wakes: list[Callable[[], None]] = []
        self._dropped = dropped

    def join(self, wake: Callable[[], None]) -> Queue:
        """Return a queue for the attempts of one endpoint; ``wake`` is called when it should be written."""
        queue: Queue = deque()
        self._waiting.append(queue)
        self._wakes.append(wake)
        return queue

    def press(self) -> None:
        """Wake the writers, and drop the oldest attempts if they are too slow."""
        if self.bytes > self.most_bytes:
            self._drop()
        self.press_at = self.most_bytes
        for wake in self._wakes:
            wake()

    def release(self, size_bytes: int) -> None:
        """Give back what attempts used that the topic has now."""
        self.bytes -= size_bytes
        if self.bytes <= self._wake_at:
            self.press_at = self._wake_at

    def _drop(self) -> None:
        """Drop the oldest attempts of all endpoints, some more than needed: finding them takes time."""
        enough, dropped = self.most_bytes - self.most_bytes // _DROP_PART, 0
        while self.bytes > enough:
            queues = [queue for queue in self._waiting if queue]
            if not queues:
                break
            self.bytes -= min(queues, key=lambda queue: queue[0][_ANSWERED_S]).popleft()[_SIZE]
            dropped += 1
        if dropped:
            self._dropped(dropped)
