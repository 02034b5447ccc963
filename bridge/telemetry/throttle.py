"""Limit how often something is logged: at most once per interval and key."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

INTERVAL_S = 60.0
"""Default interval: a log that repeats once per minute is noticed and does not fill a disk."""
_MOST_KEYS = 1000


class Throttle:
    """Allows one line per interval for each key.

    Bounded: when more than 1,000 keys are known, the oldest is forgotten and its next line is allowed.
    """

    def __init__(self, interval_s: float = INTERVAL_S, now: Callable[[], float] = time.monotonic) -> None:
        """``now``: seconds on a clock that never goes back."""
        self._interval_s = interval_s
        self._now = now
        self._allowed: dict[Hashable, tuple[float, int]] = {}  # key -> allowed at, suppressed since

    def allows(self, key: Hashable = None) -> bool:
        """Return True if the line for this key may be written now; that starts its next interval."""
        now = self._now()
        allowed_at, suppressed = self._allowed.get(key, (None, 0))
        if allowed_at is not None and now - allowed_at < self._interval_s:
            self._allowed[key] = allowed_at, suppressed + 1
            return False
        self._allowed.pop(key, None)
        self._allowed[key] = now, 0
        if len(self._allowed) > _MOST_KEYS:
            del self._allowed[next(iter(self._allowed))]
        return True

    def suppressed(self, key: Hashable = None) -> int:
        """Return how many lines for this key were suppressed in the current interval."""
        return self._allowed.get(key, (None, 0))[1]
