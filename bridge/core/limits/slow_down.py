"""Slowing an endpoint down when it says it has too much: halve the rate, recover step by step.

Takes answers and instants, gives how long to wait. Pure.
"""

from __future__ import annotations

import math

SLOWEST_PER_S = 0.2
GENTLE_PER_S = 10.0
"""At this rate and below, a first trouble is not one of speed: it starts from here, not from the rate."""
_STEP_S = 1.0
_FAST, _CAREFUL = 1.25, 1.05
_CATCH_UP_S = 0.05


class SlowDown:
    """The rate that an overloaded receiver can take, found by trying.

    It is a rate and not a number of requests at once, because a rate binds at any speed: to a
    receiver that answers 429 in a millisecond, one request at a time is still a thousand a second.
    Without trouble there is no limit at all. Trouble halves the rate at which requests went out
    (down to ``slowest_per_s``); every second with a success raises it again: by a quarter, but by
    little near the rate that was too much last time, so that it is not run into again at once.
    At the rate before the first trouble the limit is gone.

    Requests that were under way when the rate fell say nothing about the new one: each request
    has a number, and answers to older ones change nothing. Otherwise 64 answers of one burst
    would halve the rate 64 times.
    """

    def __init__(self, *, slowest_per_s: float = SLOWEST_PER_S) -> None:
        self.rate_per_s: float | None = None
        self._slowest_per_s = slowest_per_s
        self._full_per_s = self._trouble_per_s = slowest_per_s
        self._paused_until = self._next_at = -math.inf
        self._newest = 0
        self._since = 0
        self._grows_at = -math.inf
        self._second = 0
        self._this_second = self._last_second = 0

    def wait_s(self, now: float) -> float:
        """Seconds until the next request may go; 0 when it may now."""
        ready_at = self._paused_until
        if self.rate_per_s is not None:
            ready_at = max(ready_at, self._next_at)
        return max(0.0, ready_at - now)

    def pause_until(self, at: float) -> None:
        """Send nothing before ``at``; an earlier end than one that stands already changes nothing."""
        self._paused_until = max(self._paused_until, at)

    def spend(self, now: float, number: int) -> None:
        """Request ``number`` is sent; numbers only grow."""
        self._newest = number
        self._turn(now)
        self._this_second += 1
        if self.rate_per_s is not None:
            # A late wake-up is made good, up to a twentieth of a second, or timers would eat the rate.
            self._next_at = max(self._next_at, now - _CATCH_UP_S) + 1 / self.rate_per_s

    def trouble(self, now: float, number: int) -> None:
        """The receiver answered request ``number`` that it has too much."""
        if number < self._since:
            return
        if self.rate_per_s is None:
            self._full_per_s = sent_per_s = max(self._measured_per_s(now), GENTLE_PER_S)
        else:
            sent_per_s = min(max(self._measured_per_s(now), self._slowest_per_s), self.rate_per_s)
        self._trouble_per_s = sent_per_s
        self.rate_per_s = max(sent_per_s / 2, self._slowest_per_s)
        self._next_at = now + 1 / self.rate_per_s
        self._since = self._newest + 1
        self._grows_at = now + _STEP_S

    def success(self, now: float, number: int) -> None:
        """The receiver took request ``number``."""
        rate_per_s = self.rate_per_s
        if rate_per_s is None or number < self._since or now < self._grows_at:
            return
        self._grows_at = now + _STEP_S
        near, beyond = self._trouble_per_s * 0.9, self._trouble_per_s * 1.1
        if rate_per_s < near:
            rate_per_s = min(rate_per_s * _FAST, near)
        else:
            rate_per_s *= _CAREFUL if rate_per_s < beyond else _FAST
        self.rate_per_s = None if rate_per_s >= self._full_per_s else rate_per_s

    def _measured_per_s(self, now: float) -> float:
        self._turn(now)
        return self._last_second * (1 - (now - self._second)) + self._this_second

    def _turn(self, now: float) -> None:
        second = math.floor(now)
        if second != self._second:
            self._last_second = self._this_second if second == self._second + 1 else 0
            self._second, self._this_second = second, 0
