"""The breaker: it opens when an endpoint is down, not on a poisoned event, and closes step by step."""

from __future__ import annotations

import pytest

from bridge.core.limits import Breaker, BreakerState


class Numbered:
    """A breaker, and the number of its last request."""

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

    def send_all(self, now: float, most: int = 8) -> int:
        """Send as many as are allowed in flight, at most ``most``; return how many were."""
        before = self.number
        while self.number - before < most and not self.breaker.wait_s(now):
            self.send(now)
        return self.number - before

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


def test_it_opens_when_most_answers_are_failures() -> None:
    numbered = Numbered()
    numbered.exchange(0, failed=True, times=4)
    assert numbered.breaker.state is BreakerState.CLOSED
    numbered.exchange(0, failed=True)
    assert numbered.breaker.state is BreakerState.OPEN
    assert numbered.breaker.wait_s(0) == 5


def test_a_poisoned_entity_among_working_ones_does_not_open_it() -> None:
    numbered = Numbered()
    for second in range(1000):
        numbered.exchange(second, failed=True)
        numbered.exchange(second, failed=False, times=2)
    assert numbered.breaker.state is BreakerState.CLOSED


def test_a_poisoned_entity_alone_that_backs_off_does_not_open_it() -> None:
    numbered = Numbered()
    at, delay_s = 0.0, 4.0
    for _ in range(20):
        numbered.exchange(at, failed=True)
        at += delay_s
        delay_s = min(delay_s * 2, 600)
    assert numbered.breaker.state is BreakerState.CLOSED


def test_failures_leave_the_window() -> None:
    numbered = Numbered()
    for second in range(0, 300, 8):
        numbered.exchange(second, failed=True)
    assert numbered.breaker.state is BreakerState.CLOSED


def test_a_busy_endpoint_that_goes_down_opens_after_one_round() -> None:
    numbered = Numbered(concurrency=8)
    numbered.exchange(0, failed=False, times=10_000)
    numbered.exchange(1, failed=True, times=7)
    assert numbered.breaker.state is BreakerState.CLOSED
    numbered.exchange(1, failed=True)
    assert numbered.breaker.state is BreakerState.OPEN


def test_exactly_one_probe_is_sent() -> None:
    numbered = Numbered().opened()
    assert not numbered.breaker.may_probe(4.999)
    assert numbered.breaker.wait_s(4.999) == pytest.approx(0.001)
    assert numbered.breaker.may_probe(5)
    numbered.send(5)
    assert numbered.breaker.state is BreakerState.HALF_OPEN
    assert not numbered.breaker.may_probe(1000)
    assert numbered.breaker.wait_s(1000) > 0


def test_a_late_answer_is_not_taken_for_the_answer_to_the_probe() -> None:
    """Requests that were sent before it opened time out while the probe is in flight."""
    numbered = Numbered()
    early = [numbered.send(0) for _ in range(8)]
    numbered.answer(1, *early[:5], failed=True)
    probe = numbered.send(6)
    numbered.answer(7, early[5], failed=False)
    numbered.answer(7, early[6], failed=True)
    numbered.breaker.abandoned(early[7])
    assert numbered.breaker.state is BreakerState.HALF_OPEN
    assert numbered.breaker.wait_s(7) > 0
    numbered.answer(8, probe, failed=False)
    assert numbered.send_all(8) == 2


def test_a_failed_probe_waits_a_quarter_of_the_outage_from_the_shortest_to_the_longest_wait() -> None:
    numbered = Numbered().opened()
    at, waits = 0.0, []
    for _ in range(16):
        waits.append(numbered.breaker.wait_s(at))
        at += waits[-1]
        numbered.exchange(at, failed=True)
    assert waits[:6] == [5, 5, 5, 5, 5, 6.25]
    assert waits[-2:] == [35, 35]
    assert all(wait_s == max(5, min(sum(waits[:n]) / 4, 35)) for n, wait_s in enumerate(waits))


def test_an_endpoint_that_is_busy_with_other_requests_is_not_down() -> None:
    numbered = Numbered(failures=5)
    for _ in range(1000):
        numbered.breaker.busy(0, numbered.send(0), alone=False)
    assert numbered.breaker.state is BreakerState.CLOSED


def test_an_endpoint_that_is_busy_with_nothing_else_in_flight_is_down() -> None:
    numbered = Numbered(failures=5)
    for _ in range(4):
        numbered.breaker.busy(0, numbered.send(0), alone=True)
    numbered.exchange(0, failed=False)
    for second in range(0, 160, 31):
        numbered.breaker.busy(second, numbered.send(second), alone=True)
    assert numbered.breaker.state is BreakerState.CLOSED, "a success between them, or too far apart"
    for _ in range(5):
        numbered.breaker.busy(200, numbered.send(200), alone=True)
    assert numbered.breaker.state is BreakerState.OPEN


def test_it_closes_step_by_step_and_resets_the_wait() -> None:
    numbered = Numbered(concurrency=8).opened()
    numbered.exchange(5, failed=True)
    steps = []
    while numbered.breaker.state is not BreakerState.CLOSED:
        before = numbered.number
        steps.append(numbered.send_all(20))
        assert numbered.breaker.wait_s(20) > 0
        numbered.answer(20, *range(before + 1, numbered.number + 1), failed=False)
    assert steps == [1, 2, 4]
    assert numbered.send_all(20) == 8
    numbered.exchange(21, failed=True, times=5)
    assert numbered.breaker.wait_s(21) == 5


def test_a_poisoned_event_while_half_open_does_not_open_it_again() -> None:
    numbered = Numbered(concurrency=8).opened()
    numbered.exchange(5, failed=False, times=3)
    numbered.exchange(5, failed=True)
    numbered.exchange(5, failed=False, times=3)
    assert numbered.breaker.state is BreakerState.CLOSED


def test_failures_while_half_open_open_it_again() -> None:
    numbered = Numbered(concurrency=8).opened()
    numbered.exchange(5, failed=False, times=3)
    numbered.exchange(5, failed=True, times=3)
    assert numbered.breaker.state is BreakerState.OPEN
    assert numbered.breaker.wait_s(5) == 5


def test_an_abandoned_probe_is_followed_by_another() -> None:
    numbered = Numbered().opened()
    numbered.breaker.abandoned(numbered.send(5))
    numbered.exchange(5, failed=False)
    assert numbered.send_all(5) == 2


def test_an_endpoint_with_one_request_at_once_closes_with_its_probe() -> None:
    numbered = Numbered(concurrency=1).opened()
    numbered.exchange(5, failed=False)
    assert numbered.breaker.state is BreakerState.CLOSED
    assert numbered.breaker.wait_s(5) == 0


def test_it_stores_at_most_ten_slots() -> None:
    numbered = Numbered()
    for tenth in range(10_000):
        numbered.exchange(tenth / 10, failed=False)
    assert len(numbered.breaker._slots) <= 10
