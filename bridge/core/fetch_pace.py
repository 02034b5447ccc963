"""Decide when the next fetch is sent, so that a trickle of records costs few fetches. Pure.

Invariant: no fetch is delayed by more than ``GATHER_S``. A record that arrives while a fetch waits at the
broker is never delayed, so the first one after a silence is not, and neither is a backlog.
"""

from __future__ import annotations

GATHER_S = 0.005
"""The least time between two fetches that bring little. A fetch costs as much as several events, and at
500 events per second every event would have its own. Half of it is the mean delay that this adds."""
MUCH_BYTES = 16 * 1024
"""A response of this size shows a backlog, or a stream that needs no gathering: the next fetch follows at
once."""


class FetchPace:
    """The pace of one consumer's fetches, by the seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long the next fetch must wait; 0 or less if it may be sent now."""
        return self._not_before - now

    def sent(self, now: float) -> None:
        """Note that a fetch is sent: the broker answers when there are records, or after a while."""
        self._not_before = now + GATHER_S

    def received(self, size_bytes: int) -> None:
        """Note the size of a response."""
        if size_bytes >= MUCH_BYTES:
            self._not_before = 0.0
