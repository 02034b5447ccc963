"""Decide when the next fetch is sent, so that a trickle of records costs few fetches. Pure.

Invariant: no fetch is delayed by more than ``GATHER_S`` after the one before it was sent. A record that
arrives while a fetch waits at the broker is not delayed, so the first one after a silence is not, and
neither is a backlog.
"""

from __future__ import annotations

GATHER_S = 0.020
"""The longest time for which records gather at the broker. A fetch costs as much as several events, and at
500 events per second every event would have its own."""
BATCH_RECORDS = 16
"""If more than that come in ``GATHER_S``, the pause becomes shorter."""
FULL_RECORDS = 2 * BATCH_RECORDS
"""If that many come in ``GATHER_S``, there is no pause: several come while a fetch is answered. If that many
have come since the last fetch was sent, the next one follows at once: there is a backlog."""
_MEMORY_S = 0.050
"""The rate of what comes is that of about this time."""
SILENT_S = 5.0
"""A consumer to which nothing has come for that long is idle."""
_LEAST_S = 0.0005
"""Shorter waits are none: uvloop rounds them to 0 ms, so that the task that waits for the rest of a pause
would turn the event loop until it has passed."""


class FetchPace:
    """The pace of one consumer's fetches, by the seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._sent_at = self._not_before = 0.0
        self._records = 0
        """What has come since a fetch was sent."""
        self._records_per_s = 0.0
        self._came_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long the next fetch must wait; 0 if it may be sent now, or in less than ``_LEAST_S``."""
        left_s = self._not_before - now
        return left_s if left_s >= _LEAST_S else 0.0

    def sent(self, now: float) -> None:
        """Note that a fetch is sent, and decide when the next one may follow."""
        elapsed_s = now - self._sent_at
        if self._records or not self._came_at:
            self._came_at = now
        if elapsed_s > 0:
            weight = elapsed_s / (elapsed_s + _MEMORY_S)
            self._records_per_s += weight * (self._records / elapsed_s - self._records_per_s)
            self._sent_at, self._records = now, 0
        missing = FULL_RECORDS - self._records_per_s * GATHER_S
        self._not_before = now + GATHER_S * min(1.0, max(0.0, missing / (FULL_RECORDS - BATCH_RECORDS)))

    def is_silent(self, now: float) -> bool:
        """Return True if nothing has come for ``SILENT_S``, as of the last fetch that was sent."""
        return now - self._came_at >= SILENT_S

    def received(self, records: int) -> None:
        """Note how many records a response has."""
        self._records += records
        if self._records >= FULL_RECORDS:
            self._not_before = 0.0
