"""A pause that a receiver asks for never slows an endpoint to a crawl after it."""

from __future__ import annotations

import random

import pytest

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from tests.support.receiver_model import Trickle, accepted_per_s, simulate

OFFERED_PER_S = 70


def make() -> Gate:
    breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=300, concurrency=64)
    return Gate(RateWindows(((OFFERED_PER_S, 1.0),)), AdaptiveLimit(64), breaker, retry_after_cap_s=60)


@pytest.mark.parametrize("seed", range(8))
def test_an_endpoint_that_is_asked_for_pauses_at_random_keeps_most_of_its_pace(seed: int) -> None:
    """Found by the fault harness: a limit that had been lifted left 0.5 requests per second at the next one."""
    receiver = Trickle(0.03, 0.003, random.Random(seed))
    requests = simulate(make(), receiver, 180, seed=seed)
    slowest = min(accepted_per_s(requests, begin, begin + 15) for begin in range(0, 165, 5))
    assert slowest >= OFFERED_PER_S / 4


def test_a_burst_after_a_quiet_time_is_not_slowed_to_the_pace_of_the_quiet_time() -> None:
    """One refusal with ``Retry-After`` in a burst of forty, after a minute with one event every ten seconds."""
    limit, number = AdaptiveLimit(64), 0
    for now in range(0, 60, 10):
        number += 1
        limit.answered(now, number, "unavailable" if now == 0 else "ok", in_flight=1, newest=number)
    for _ in range(40):
        number += 1
        limit.sent(60, number, 1)
    for answered in range(number - 39, number):
        limit.answered(60.1, answered, "ok", in_flight=1, newest=number)
    limit.concurrency = 32
    limit.pause(60.1, 1)
    limit.answered(60.1, number, "throttled", in_flight=1, newest=number, pause_s=1)
    assert (limit.rate_per_s or 1e9) >= 20
