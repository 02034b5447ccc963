"""The breaker: opens on a down endpoint, not on a poisoned event; one probe; step by step back."""

from __future__ import annotations

import pytest

from bridge.core.limits import Breaker, BreakerState


class Numbered:
    """A breaker whose requests get their numbers."""

    def __init__(self, *, concurrency: int = 8, failures: int = 5) -> None:
        self.breaker = Breaker(
            failures=failures, window_s=30, open_s=5, max_open_s=35, concurrency=concurrency
        )
        self.number = 0

    def send(self, now: float) -> int:
        assert self.breaker.wait_s(now) == 0
        self.number += 1
        self.breaker.sent(now, self.number)
        return self.number

    def answer(self, now: float, *numbers: int, failed: bool) -> None:
        for number in numbers:
            self.breaker.answered(now, number, failed=failed)

    def exchange(self, now: float, *, failed: bool, times: int = 1) -> None:
        for _ in range(times):
            self.answer(now, self.send(now), failed=failed)

    def opened(self, now: float = 0.0) -> Numbered:
        self.exchange(now, failed=True, times=5)
        assert self.breaker.state is BreakerState.OPEN
        return self


def test_opens_after_failures_that_are_the_greater_part() -> None:
    one = Numbered()
    one.exchange(0, failed=True, times=4)
    assert one.breaker.state is BreakerState.CLOSED
    one.exchange(0, failed=True)
    assert one.breaker.state is BreakerState.OPEN
    assert one.breaker.wait_s(0) == 5


def test_a_poisoned_entity_among_working_ones_opens_nothing() -> None:
    one = Numbered()
    for second in range(1000):
        one.exchange(second, failed=True)
        one.exchange(second, failed=False, times=2)
    assert one.breaker.state is BreakerState.CLOSED


def test_a_poisoned_entity_alone_that_backs_off_opens_nothing() -> None:
    one = Numbered()
    at, delay_s = 0.0, 4.0
    for _ in range(20):
        one.exchange(at, failed=True)
        at += delay_s
        delay_s = min(delay_s * 2, 600)
    assert one.breaker.state is BreakerState.CLOSED


def test_failures_leave_the_window() -> None:
    one = Numbered()
    for second in range(0, 300, 8):
        one.exchange(second, failed=True)
    assert one.breaker.state is BreakerState.CLOSED


def test_a_busy_endpoint_that_goes_down_opens_after_one_round() -> None:
    one = Numbered(concurrency=8)
    one.exchange(0, failed=False, times=10_000)
    one.exchange(1, failed=True, times=7)
    assert one.breaker.state is BreakerState.CLOSED
    one.exchange(1, failed=True)
    assert one.breaker.state is BreakerState.OPEN


def test_exactly_one_probe_goes() -> None:
    one = Numbered().opened()
    assert not one.breaker.may_probe(4.999)
    assert one.breaker.wait_s(4.999) == pytest.approx(0.001)
    assert one.breaker.may_probe(5)
    one.send(5)
    assert one.breaker.state is BreakerState.HALF_OPEN
    assert not one.breaker.may_probe(1000)
    assert one.breaker.wait_s(1000) > 0
    assert one.breaker.allowed_concurrency(8) == 1


def test_a_late_answer_does_not_pass_for_the_probe() -> None:
    """Timeouts of requests that went before it opened come in while the probe is under way."""
    one = Numbered()
    early = [one.send(0) for _ in range(8)]
    one.answer(1, *early[:5], failed=True)
    probe = one.send(6)
    one.answer(7, early[5], failed=False)
    one.answer(7, early[6], failed=True)
    one.breaker.abandoned(early[7])
    assert one.breaker.state is BreakerState.HALF_OPEN
    assert one.breaker.wait_s(7) > 0
    one.answer(8, probe, failed=False)
    assert one.breaker.allowed_concurrency(8) == 2


def test_failed_probes_wait_longer_and_longer_up_to_the_cap() -> None:
    one = Numbered().opened()
    at, waits = 0.0, []
    for _ in range(6):
        waits.append(one.breaker.wait_s(at))
        at += waits[-1]
        one.exchange(at, failed=True)
    assert waits == [5, 10, 20, 35, 35, 35]


def test_comes_back_step_by_step_and_forgets_the_long_wait() -> None:
    one = Numbered(concurrency=8).opened()
    one.exchange(5, failed=True)
    steps = []
    while one.breaker.state is not BreakerState.CLOSED:
        allowed = one.breaker.allowed_concurrency(8)
        steps.append(allowed)
        sent = [one.send(20) for _ in range(allowed)]
        assert one.breaker.wait_s(20) > 0
        one.answer(20, *sent, failed=False)
    assert steps == [1, 1, 2, 4][1:]
    assert one.breaker.allowed_concurrency(8) == 8
    one.exchange(21, failed=True, times=5)
    assert one.breaker.wait_s(21) == 5


def test_a_poisoned_event_on_the_way_back_does_not_open_again() -> None:
    one = Numbered(concurrency=8).opened()
    one.exchange(5, failed=False, times=3)
    one.exchange(5, failed=True)
    one.exchange(5, failed=False, times=3)
    assert one.breaker.state is BreakerState.CLOSED


def test_failures_on_the_way_back_open_again() -> None:
    one = Numbered(concurrency=8).opened()
    one.exchange(5, failed=False, times=3)
    one.exchange(5, failed=True, times=3)
    assert one.breaker.state is BreakerState.OPEN
    assert one.breaker.wait_s(5) == 10


def test_an_abandoned_probe_makes_room_for_another() -> None:
    one = Numbered().opened()
    one.breaker.abandoned(one.send(5))
    one.exchange(5, failed=False)
    assert one.breaker.allowed_concurrency(8) == 2


def test_an_endpoint_with_one_request_at_once_closes_with_its_probe() -> None:
    one = Numbered(concurrency=1).opened()
    one.exchange(5, failed=False)
    assert one.breaker.state is BreakerState.CLOSED
    assert one.breaker.allowed_concurrency(1) == 1


def test_memory_is_ten_numbers() -> None:
    one = Numbered()
    for tenth in range(10_000):
        one.exchange(tenth / 10, failed=False)
    assert len(one.breaker._slots) <= 10
