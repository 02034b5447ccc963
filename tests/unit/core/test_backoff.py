"""Retries: full jitter within its bounds, and an end by attempts and by age."""

from __future__ import annotations

import pytest

from bridge.core.backoff import Retry, RetrySchedule


def delays(schedule: RetrySchedule, attempts: int, times: int = 400) -> list[float]:
    found = [schedule.next_retry(attempts, 0).delay_s for _ in range(times)]
    return [one for one in found if one is not None]


@pytest.mark.parametrize("attempts", [1, 2, 3, 5, 8, 9, 10, 30, 2000])
def test_a_delay_is_random_between_zero_and_the_doubled_base_or_the_cap(attempts: int) -> None:
    schedule = RetrySchedule(base_s=2, cap_s=500, max_attempts=10_000, max_age_s=1e9)
    bound = 500 if attempts > 9 else 2 * 2 ** (attempts - 1)
    found = delays(schedule, attempts)
    assert len(found) == 400
    assert 0 <= min(found) <= max(found) <= bound
    assert min(found) < bound * 0.1, "full jitter reaches down to zero"
    assert max(found) > bound * 0.9, "and up to the bound"


def test_no_retry_follows_the_last_attempt() -> None:
    schedule = RetrySchedule(base_s=1, cap_s=1, max_attempts=3, max_age_s=1e9)
    assert schedule.next_retry(2, 0).delay_s is not None
    assert schedule.next_retry(3, 0) == Retry(None, "gave up after 3 attempts")
    assert schedule.next_retry(4, 0).delay_s is None


def test_one_attempt_means_no_retry() -> None:
    assert RetrySchedule(base_s=1, cap_s=1, max_attempts=1, max_age_s=10).next_retry(1, 0).delay_s is None


def test_no_retry_begins_after_the_maximum_age() -> None:
    schedule = RetrySchedule(base_s=10, cap_s=10, max_attempts=100, max_age_s=60)
    assert schedule.next_retry(5, 61) == Retry(None, "gave up after 61 s and 5 attempts")
    for _ in range(400):
        retry = schedule.next_retry(5, 55)
        assert retry.delay_s is None or 55 + retry.delay_s <= 60
    assert all(schedule.next_retry(5, 49.9).delay_s is not None for _ in range(100))


def test_the_longer_one_of_the_computed_delay_and_retry_after_applies() -> None:
    schedule = RetrySchedule(base_s=8, cap_s=8, max_attempts=9, max_age_s=1e9)
    assert {schedule.next_retry(1, 0, 37).delay_s for _ in range(100)} == {37}
    found = [schedule.next_retry(1, 0, 4).delay_s for _ in range(400)]
    assert min(one for one in found if one is not None) == 4
    assert max(one for one in found if one is not None) > 7


def test_retry_after_has_a_cap_of_its_own() -> None:
    schedule = RetrySchedule(base_s=1, cap_s=8, max_attempts=9, max_age_s=1e9, retry_after_cap_s=100)
    assert schedule.next_retry(1, 0, 99).delay_s == 99
    assert schedule.next_retry(1, 0, 5000).delay_s == 100


def test_a_retry_after_beyond_the_maximum_age_gives_up() -> None:
    schedule = RetrySchedule(base_s=1, cap_s=1, max_attempts=9, max_age_s=60)
    assert schedule.next_retry(1, 0, 59).delay_s == 59
    assert schedule.next_retry(1, 10, 59).delay_s is None
