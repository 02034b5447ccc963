"""An endpoint's gate against simulated receivers: it finds what they can take, and little is refused.

The figures of docs/adr/0016-overload-goes-by-shares.md are those of these receivers.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.model import AnswerKind
from tests.support.receiver_model import (
    RTT_S,
    Flaky,
    Outage,
    Pool,
    Receiver,
    TokenBucket,
    accepted_per_s,
    brown_out,
    recovered_after_s,
    refused_share,
    simulate,
)

CONCURRENCY = 64
HEALTHY_PER_S = CONCURRENCY / RTT_S
CONVERGED_S, END_S = 10.0, 40.0


def make() -> Gate:
    breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=300, concurrency=CONCURRENCY)
    return Gate(RateWindows(()), AdaptiveLimit(CONCURRENCY), breaker, retry_after_cap_s=60)


def pool_per_s(workers: int, service_s: float) -> float:
    """Return what a pool can do if a free worker gets the next request after a round trip."""
    return workers / (service_s + RTT_S)


@pytest.mark.parametrize(
    ("receiver", "per_s"),
    [
        pytest.param(lambda: TokenBucket(20, burst=5), 20, id="20 per s"),
        pytest.param(lambda: TokenBucket(100), 100, id="100 per s"),
        pytest.param(lambda: TokenBucket(100, burst=100), 100, id="100 per s, burst 100"),
        pytest.param(lambda: TokenBucket(1000, burst=100), 1000, id="1000 per s"),
        pytest.param(lambda: TokenBucket(100, retry_after_s=1), 100, id="Retry-After"),
        pytest.param(lambda: TokenBucket(100, 100, retry_after_s=1), 100, id="Retry-After, burst 100"),
        pytest.param(lambda: TokenBucket(100, kind="unavailable"), 100, id="100 per s, answers 503"),
        pytest.param(lambda: Pool(8, 0.1, random.Random(7)), pool_per_s(8, 0.1), id="8 workers"),
        pytest.param(lambda: Pool(32, 0.05, random.Random(7)), pool_per_s(32, 0.05), id="32 workers"),
        pytest.param(lambda: Pool(2, 1.0, random.Random(7)), pool_per_s(2, 1.0), id="2 slow workers"),
    ],
)
def test_it_uses_what_an_overloaded_receiver_can_take(receiver: Callable[[], Receiver], per_s: float) -> None:
    requests = simulate(make(), receiver(), END_S)
    assert accepted_per_s(requests, CONVERGED_S, END_S - 1) >= 0.9 * per_s
    assert refused_share(requests, CONVERGED_S, END_S - 1) <= 0.05


@pytest.mark.parametrize("part", [0.0, 0.001, 0.01, 0.02])
def test_a_trickle_of_503_costs_nothing_but_the_refused_requests(part: float) -> None:
    requests = simulate(make(), Flaky(part, random.Random(7)), 8)
    assert accepted_per_s(requests, 0, 8) >= 0.95 * HEALTHY_PER_S


def test_a_receiver_that_refuses_a_tenth_at_random_is_not_taken_for_overloaded() -> None:
    requests = simulate(make(), Flaky(0.1, random.Random(7)), 8)
    assert accepted_per_s(requests, 0, 8) >= 0.9 * 0.9 * HEALTHY_PER_S


@pytest.mark.parametrize(
    ("receiver", "per_s"),
    [
        pytest.param(lambda: TokenBucket(200, 20, capacity=brown_out(20, 80)), 200, id="rate"),
        pytest.param(
            lambda: Pool(40, 0.1, random.Random(7), capacity=brown_out(20, 80)),
            pool_per_s(40, 0.1),
            id="workers",
        ),
    ],
)
def test_it_follows_a_brown_out_down_and_up(receiver: Callable[[], Receiver], per_s: float) -> None:
    gate = make()
    requests = simulate(gate, receiver(), 100)
    assert accepted_per_s(requests, 30, 79) >= 0.9 * per_s * 0.1
    assert refused_share(requests, 30, 79) <= 0.05
    assert recovered_after_s(requests, 80, 0.9 * per_s) <= 10
    assert gate.state == "closed"


@pytest.mark.parametrize("kind", ["failed", "unavailable"])
@pytest.mark.parametrize("seconds", [10, 24, 40])
def test_the_full_pace_is_back_soon_after_an_outage(kind: AnswerKind, seconds: float) -> None:
    end = 5 + seconds
    receiver = Outage(5, end, kind, Pool(40, 0.1, random.Random(7)))
    requests = simulate(make(), receiver, end + 15)
    assert recovered_after_s(requests, end, 0.9 * pool_per_s(40, 0.1)) <= 10
    assert sum(5 < at < end for at, _ in requests) < 400, "the breaker spared the receiver"


def test_a_receiver_that_refuses_everything_with_429_is_tried_now_and_then() -> None:
    requests = simulate(make(), Outage(5, 29, "throttled", TokenBucket(200, 20)), 45)
    assert recovered_after_s(requests, 29, 180) <= 10
    assert sum(10 < at < 29 for at, _ in requests) < 100
