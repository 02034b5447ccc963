"""The configured rate of an endpoint: several windows at once, such as 4 in 1 s and 100 in an hour.

Takes instants, gives how long to wait. Pure.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence


class RateWindows:
    """Never more than ``count`` requests in any stretch of ``seconds``, for every window.

    An exact sliding log, and not a token bucket or GCRA: those let a full burst and its refill
    through in one stretch, nearly twice the count, which a receiver with a strict limit answers
    with 429. All windows look at the same instants, so one ring as long as the largest count
    serves them all, at 8 bytes a request.

    The limit belongs to the endpoint, so each pod takes its ``share`` of it. A share gives whole
    requests, rounded down, so that all pods together never exceed the count. A share below one
    request waits longer instead: one request in a stretch stretched accordingly, which keeps the
    average; then, and only then, more pods than the count may meet in one window.

    The log lives in memory: after a restart or a rebalance a window may see what was spent
    before it a second time.
    """

    def __init__(self, windows: Sequence[tuple[int, float]], share: float = 1.0) -> None:
        self._windows = tuple(windows)
        self._ring = array("d", bytes(8 * max((count for count, _ in windows), default=0)))
        self._spent = 0
        self._scaled: tuple[tuple[int, float], ...] = ()
        self.set_share(share)

    def set_share(self, share: float) -> None:
        """Take this part of every window from now on. Raises ``ValueError`` unless 0 < share <= 1."""
        if not 0 < share <= 1:
            raise ValueError(f"a share is more than 0 and at most 1, not {share}")
        self._scaled = tuple(_scaled(count, seconds, share) for count, seconds in self._windows)

    def wait_s(self, now: float) -> float:
        """Seconds until one more request fits into every window; 0 when it does now."""
        wait_s = 0.0
        for count, seconds in self._scaled:
            if self._spent >= count:
                oldest = self._ring[(self._spent - count) % len(self._ring)]
                wait_s = max(wait_s, oldest + seconds - now)
        return wait_s

    def spend(self, now: float) -> None:
        """One request is sent."""
        if self._ring:
            self._ring[self._spent % len(self._ring)] = now
            self._spent += 1


def _scaled(count: int, seconds: float, share: float) -> tuple[int, float]:
    part = count * share
    whole = math.floor(part + 1e-9)  # 100 * 0.29 is 28.999…96
    return (whole, seconds) if whole else (1, seconds / part)
