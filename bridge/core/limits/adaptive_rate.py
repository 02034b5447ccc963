"""The rate of an overloaded endpoint: halve it on overload, raise it again step by step.

Pure: callers pass answers and instants.
"""

from __future__ import annotations

import math

SLOWEST_PER_S = 0.2
GENTLE_PER_S = 10.0
"""A first overload below this rate is not about speed: the limit then starts from here."""
_STEP_S = 1.0
_FAST, _CAREFUL = 1.25, 1.05
_CATCH_UP_S = 0.05


class AdaptiveRate:
    """The rate that an overloaded receiver can take, found by trial.

    It limits a rate, not the number of concurrent requests, because a rate limits at any speed: to
    a receiver that answers 429 within a millisecond, one request at a time is still a thousand per
    second. Without overload there is no limit. An overload halves the rate at which requests were
    sent, down to ``slowest_per_s``. Each second with a success raises it: by a quarter, but near the
    rate of the last overload only by 5 %, to not exceed it again at once. The limit ends at the rate
    before the first overload.

    Requests that were in flight when the rate fell do not show whether the new rate is right. Each
    request has a number, and answers to older numbers are ignored; otherwise 64 answers of one burst
    would halve the rate 64 times.
    """

    def __init__(self, *, slowest_per_s: float = SLOWEST_PER_S) -> None:
        self.rate_per_s: float | None = None
        self.second_ends_at = 1.0
        """From this instant on, ``begin_second`` must be called before the next request is counted."""
        self._slowest_per_s = slowest_per_s
        self._full_per_s = self._overload_per_s = slowest_per_s
        self._paused_until = self._next_at = -math.inf
        self._since = 0
        self._grows_at = -math.inf
        self._second = 0
        self._before_second = 0
        self._last_second = 0

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next request may be sent; 0 if it may be sent now."""
        ready_at = self._paused_until
        if self.rate_per_s is not None:
            ready_at = max(ready_at, self._next_at)
        return max(0.0, ready_at - now)

    def pause_until(self, at: float) -> None:
        """Send nothing before ``at``. A pause never becomes shorter."""
        self._paused_until = max(self._paused_until, at)

    def begin_second(self, now: float, newest: int) -> None:
        """Count requests in a new second; ``newest`` is the number of the last request sent so far."""
        second = math.floor(now)
        self._last_second = newest - self._before_second if second == self._second + 1 else 0
        self._second, self._before_second, self.second_ends_at = second, newest, second + 1.0

    def spend(self, now: float) -> None:
        """Move the next request's instant on: a request is sent now."""
        if self.rate_per_s is not None:
            # A late wake-up is caught up, by at most 50 ms; otherwise timers would lower the rate.
            self._next_at = max(self._next_at, now - _CATCH_UP_S) + 1 / self.rate_per_s

    def overload(self, now: float, number: int, newest: int) -> None:
        """Lower the rate: the receiver answered request ``number`` that it is overloaded.

        ``newest`` is the number of the last request sent so far.
        """
        if number < self._since:
            return
        measured_per_s = self._measured_per_s(now, newest)
        if self.rate_per_s is None:
            self._full_per_s = sent_per_s = max(measured_per_s, GENTLE_PER_S)
        else:
            sent_per_s = min(max(measured_per_s, self._slowest_per_s), self.rate_per_s)
        self._overload_per_s = sent_per_s
        self.rate_per_s = max(sent_per_s / 2, self._slowest_per_s)
        self._next_at = now + 1 / self.rate_per_s
        self._since = newest + 1
        self._grows_at = now + _STEP_S

    def success(self, now: float, number: int) -> None:
        """Raise the rate, at most once per second: the receiver accepted request ``number``."""
        rate_per_s = self.rate_per_s
        if rate_per_s is None or number < self._since or now < self._grows_at:
            return
        self._grows_at = now + _STEP_S
        near, beyond = self._overload_per_s * 0.9, self._overload_per_s * 1.1
        if rate_per_s < near:
            rate_per_s = min(rate_per_s * _FAST, near)
        else:
            rate_per_s *= _CAREFUL if rate_per_s < beyond else _FAST
        self.rate_per_s = None if rate_per_s >= self._full_per_s else rate_per_s

    def _measured_per_s(self, now: float, newest: int) -> float:
        if now >= self.second_ends_at:
            self.begin_second(now, newest)
        this_second = newest - self._before_second
        return self._last_second * (1 - (now - self._second)) + this_second
