"""A pause that a receiver requests never slows an endpoint to a crawl after it."""

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
    """Found by the fault harness: after a limit had been lifted, the next one was 0.5 requests per second."""
    receiver = Trickle(0.03, 0.003, random.Random(seed))
    requests = simulate(make(), receiver, 180, seed=seed)
    slowest = min(accepted_per_s(requests, begin, begin + 15) for begin in range(0, 165, 5))
    assert slowest >= OFFERED_PER_S / 4
