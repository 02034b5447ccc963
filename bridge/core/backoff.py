"""Step 10, retries: when a failed delivery runs again, and when it has run often enough.

Takes counts and instants, gives delays. Rule floor, pure but for the jitter's random numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from tenacity import RetryCallState
from tenacity.wait import wait_random_exponential


class Retry(NamedTuple):
    """Run again after ``delay_s``; or, where that is None, no more, and why."""

    delay_s: float | None
    reason: str = ""


class RetrySchedule:
    """Exponential backoff with full jitter: a random delay up to base * 2^(n-1), at most the cap.

    Full jitter spreads the retries of many lanes that failed at one instant, so that they do not
    return to a recovering receiver in step.
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

    def after(self, attempts: int, age_s: float, at_least_s: float | None = None) -> Retry:
        """What follows the ``attempts``-th failure (from 1), ``age_s`` after the first one.

        ``at_least_s`` is the receiver's ``Retry-After``: the longer of it, capped, and the own delay counts.
        """
        if attempts >= self._max_attempts:
            return Retry(None, f"gave up after {attempts} attempts")
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = attempts
        delay_s = self._wait(state)
        if at_least_s is not None:
            delay_s = max(delay_s, min(at_least_s, self._retry_after_cap_s))
        if age_s + delay_s > self._max_age_s:
            return Retry(None, f"gave up after {age_s:.0f} s and {attempts} attempts")
        return Retry(delay_s)
