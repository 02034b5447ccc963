"""The configured rate of an endpoint: several windows at once, such as 4 in 1 s and 100 in an hour.

Pure: callers pass instants.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence


class RateWindows:
    """At most ``count`` requests in any period of ``seconds``, for every window.

    It is an exact sliding log, not a token bucket or GCRA: those allow a full burst and its refill
    in one period, nearly twice the count, and a receiver with a strict limit answers that with 429.
    All windows read the same instants, so one ring as long as the largest count serves them all,
    at 8 bytes per request.

    The limit belongs to the endpoint, so each pod uses its ``share`` of it. A share is rounded down
    to whole requests, so that all pods together never exceed the count. A share below one request
    becomes one request in a longer period, which keeps the average. Only then can more pods than the
    count send within one window.

    The instants never decrease from one request to the next, so the oldest of the last ``count`` decides.

    The log is in memory: after a restart or a rebalance, a window can be used up a second time.
    """

    def __init__(self, windows: Sequence[tuple[int, float]], share: float = 1.0) -> None:
        self._windows = tuple(windows)
        self.limited = bool(windows)
        """False without windows: then ``wait_s`` and ``spend`` need not be called."""
        self._ring = array("d", bytes(8 * max((count for count, _ in windows), default=0)))
        self._spent = 0
        self._scaled: tuple[tuple[int, float], ...] = ()
        self.set_share(share)

    def set_share(self, share: float) -> None:
        """Use this part of every window from now on. Raises ``ValueError`` unless 0 < share <= 1."""
        if not 0 < share <= 1:
            raise ValueError(f"a share is more than 0 and at most 1, not {share}")
        self._scaled = tuple(_scaled(count, seconds, share) for count, seconds in self._windows)

    def follow(self, earlier: RateWindows) -> None:
        """Count what was sent under earlier limits, so that a change of them is no second allowance."""
        kept = len(earlier._ring)
        for position in range(max(0, earlier._spent - min(kept, len(self._ring))), earlier._spent):
            self.spend(earlier._ring[position % kept])

    def wait_s(self, now: float) -> float:
        """Return the seconds until one more request fits into every window; 0 if it fits now."""
        wait_s = 0.0
        for count, seconds in self._scaled:
            if self._spent >= count:
                oldest = self._ring[(self._spent - count) % len(self._ring)]
                wait_s = max(wait_s, oldest + seconds - now)
        return wait_s

    def spend(self, at: float) -> int:
        """Count one request as sent at an instant; return its position, for ``correct``."""
        if self._ring:
            latest = self._ring[(self._spent - 1) % len(self._ring)] if self._spent else at
            self._ring[self._spent % len(self._ring)] = max(at, latest)
            self._spent += 1
        return self._spent

    def spend_several(self, at: float, number: int) -> None:
        """Count so many requests as sent at once, each as at the earliest instant that allows it."""
        for _ in range(number):
            at += max(0.0, self.wait_s(at))
            self.spend(at)

    def correct(self, position: int, at: float) -> None:
        """Count the request at a position as sent at an earlier instant than ``spend`` was called with."""
        size = len(self._ring)
        if self._spent - position >= size:
            return
        before = self._ring[(position - 2) % size] if position >= 2 and size > 1 else at
        self._ring[(position - 1) % size] = min(max(at, before), self._ring[(position - 1) % size])


def _scaled(count: int, seconds: float, share: float) -> tuple[int, float]:
    part = count * share
    whole = math.floor(part + 1e-9)  # 100 * 0.29 is 28.999…96
    return (whole, seconds) if whole else (1, seconds / part)
