"""Simulated time: random delays are the same in each run, and long enough to be seen."""

from __future__ import annotations

from bridge.core.backoff import RetrySchedule
from tests.support.simulated import simulated

SCHEDULE = RetrySchedule(base_s=0.1, cap_s=0.1, max_attempts=9, max_age_s=9)


@simulated
async def draw_delays(into: list[float]) -> None:
    into.extend(SCHEDULE.delay_s(1) for _ in range(200))


def test_random_delays_are_the_same_in_each_run_and_not_shorter_than_half_of_their_bound() -> None:
    first: list[float] = []
    second: list[float] = []
    draw_delays(first)
    draw_delays(second)
    assert first == second
    assert 0.05 <= min(first) < 0.06
    assert 0.09 < max(first) <= 0.1
    assert min(SCHEDULE.delay_s(1) for _ in range(200)) < 0.05, "outside, the jitter is the real one"
