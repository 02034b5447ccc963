"""Decide when a failed delivery is retried, and when it has been retried often enough.

Invariant: no retry after ``max_attempts`` attempts, and none that would begin later than ``max_age_s``
after the first failure. Pure except for the random numbers of the jitter.
"""

from __future__ import annotations

from typing import NamedTuple

from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential


class Retry(NamedTuple):
    """Retry after ``delay_s`` seconds. None means no more retries, for ``reason``."""

    delay_s: float | None
    reason: str = ""


class RetrySchedule:
    """Exponential backoff with full jitter: a random delay up to base * 2^(n-1), at most the cap.

    Full jitter spreads the retries of many lanes that failed at the same instant, so that they do
    not return to a recovering receiver at the same instant either.
    """

    def __init__(
        self,
        *,
        base_s: float,
        cap_s: float,
        max_attempts: int,
        max_age_s: float,
        retry_after_cap_s: float = 86_400.0,
    ) -> None:
        self._wait = wait_random_exponential(multiplier=base_s, max=cap_s)
        self._retry_after_cap_s = retry_after_cap_s
        self._max_attempts = max_attempts
        self._max_age_s = max_age_s

    def next_retry(self, attempts: int, age_s: float, at_least_s: float | None = None) -> Retry:
        """Return the retry after the ``attempts``-th failure (from 1), ``age_s`` after the first one.

        ``at_least_s`` is the receiver's ``Retry-After`` in seconds. The longer one of it, capped, and
        of the computed delay applies.
        """
        if attempts >= self._max_attempts:
            return Retry(None, f"gave up after {attempts} attempts")
        delay_s = self.delay_s(attempts)
        if at_least_s is not None:
            delay_s = max(delay_s, min(at_least_s, self._retry_after_cap_s))
        if age_s + delay_s > self._max_age_s:
            return Retry(None, f"gave up after {age_s:.0f} s and {attempts} attempts")
        return Retry(delay_s)

    def delay_s(self, attempts: int) -> float:
        """Return the random delay after the ``attempts``-th failure (from 1)."""
        # tenacity's wait reads attempt_number alone, but offers no way to call it without a state
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = attempts
        return self._wait(state)


class SharedRetrySchedule(RetrySchedule):
    """A schedule for events that fail together, and are to be sent together again.

    The delay after the same number of attempts is the same until ``draw`` is called. Call it first.
    """

    _drawn: dict[int, float]

    def draw(self) -> None:
        """Draw other delays from now on."""
        self._drawn = {}

    def delay_s(self, attempts: int) -> float:
        """See ``RetrySchedule.delay_s``."""
        if attempts not in self._drawn:
            self._drawn[attempts] = super().delay_s(attempts)
        return self._drawn[attempts]
