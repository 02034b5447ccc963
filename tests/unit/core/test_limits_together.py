"""The gate of an endpoint: slow-down, pause, breaker and rate as one, on a clock that is moved."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridge.core.limits import AdaptiveRate, Breaker, Gate, RateWindows
from bridge.model import AnswerKind


def make(*windows: tuple[int, float], cap_s: float = 86_400, concurrency: int = 64) -> Gate:
    breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=concurrency)
    return Gate(RateWindows(windows), AdaptiveRate(), breaker, retry_after_cap_s=cap_s)


def rate_of(gate: Gate) -> float | None:
    """The rate that the receiver is limited to after an overload; None without a limit."""
    return gate._rate.rate_per_s


def admitted(gate: Gate, now: float, most: int) -> int:
    """How many requests may be sent at once, of ``most``; they are abandoned afterwards."""
    numbers = []
    while len(numbers) < most and not gate.admit(now):
        numbers.append(gate.sent(now))
    for number in numbers:
        gate.abandoned(number)
    return len(numbers)


def exchange(gate: Gate, now: float, kind: AnswerKind, retry_after_s: float | None = None) -> None:
    gate.answered(now, kind, retry_after_s, number=gate.sent(now))


def drive(
    gate: Gate, begin: float, end: float, kind: AnswerKind = "ok", most_per_s: float = 1000
) -> list[float]:
    """Send and be answered at once, as often as allowed."""
    at, sent = begin, []
    while at < end:
        wait_s = gate.admit(at)
        if wait_s:
            at += wait_s
            continue
        exchange(gate, at, kind)
        sent.append(at)
        at += 1 / most_per_s
    return sent


def test_a_working_endpoint_is_not_limited() -> None:
    gate = make()
    assert len(drive(gate, 0, 10)) == pytest.approx(10_000, abs=1)
    assert (gate.state, rate_of(gate), admitted(gate, 10, 64)) == ("closed", None, 64)


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
def test_an_overload_halves_the_rate_of_the_whole_endpoint(kind: AnswerKind) -> None:
    gate = make()
    drive(gate, 0, 10, most_per_s=100)
    exchange(gate, 10, kind)
    assert rate_of(gate) == pytest.approx(50, rel=0.05)
    assert len(drive(gate, 10, 11)) == pytest.approx(50, abs=6)


def test_idle_time_does_not_allow_a_burst_later() -> None:
    gate = make()
    drive(gate, 0, 10, most_per_s=100)
    exchange(gate, 10, "throttled")
    assert len(drive(gate, 70, 70.5)) <= 40


@pytest.mark.parametrize("kind", ["failed", "other"])
def test_an_error_that_one_event_causes_does_not_lower_the_rate(kind: AnswerKind) -> None:
    gate = make()
    drive(gate, 0, 1)
    exchange(gate, 1, kind, 60)
    assert rate_of(gate) is None
    assert gate.admit(1) == 0


def test_the_answers_of_one_burst_halve_the_rate_once() -> None:
    gate = make()
    numbers = [gate.sent(0.5) for _ in range(64)]
    for number in numbers:
        gate.answered(0.6, "throttled", number=number)
    assert rate_of(gate) == pytest.approx(32)


def test_the_rate_recovers_step_by_step_until_there_is_no_limit() -> None:
    gate = make()
    drive(gate, 0, 10, most_per_s=400)
    for _ in range(12):
        exchange(gate, 10, "throttled")
    assert rate_of(gate) == pytest.approx(0.2)
    rates, at = [], 10.0
    while rate_of(gate) is not None and at < 600:
        rates.append(rate_of(gate))
        drive(gate, at, at + 1, most_per_s=400)
        at += 1
    assert rate_of(gate) is None
    assert at < 90
    assert all(later <= earlier * 1.57 for earlier, later in pairwise(rates))
    assert len(drive(gate, at, at + 1, most_per_s=400)) == pytest.approx(400, abs=1)


def test_the_rate_never_falls_to_zero() -> None:
    gate = make()
    sent = drive(gate, 0, 1000, "throttled")
    assert max(later - earlier for earlier, later in pairwise(sent)) <= 5.001


def test_the_own_limit_of_a_receiver_is_found_and_mostly_used() -> None:
    """The receiver takes 100 per second and answers 429 to the rest: few are refused, most is used."""
    gate, taken, refused, at = make(), 0, 0, 0.0
    window: list[float] = []
    while at < 120:
        wait_s = gate.admit(at)
        if wait_s:
            at += wait_s
            continue
        window = [one for one in window if one > at - 1]
        if len(window) < 100:
            window.append(at)
            exchange(gate, at, "ok")
            taken += at > 20
        else:
            exchange(gate, at, "throttled")
            refused += at > 20
        at += 0.001
    assert taken > 7_000
    assert refused < 25


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
@pytest.mark.parametrize("asked_s", [1.0, 37.0, 0.5, 3600.0])
def test_retry_after_pauses_the_whole_endpoint_to_the_second(kind: AnswerKind, asked_s: float) -> None:
    gate = make()
    drive(gate, 0, 1)
    exchange(gate, 1, kind, asked_s)
    slowed_s = 1 / (rate_of(gate) or 1)
    assert gate.admit(1) == pytest.approx(max(asked_s, slowed_s))
    assert gate.admit(1 + asked_s - 0.01) > 0
    assert gate.admit(1 + max(asked_s, slowed_s)) == 0


def test_the_longest_pause_applies_and_is_capped() -> None:
    gate = make(cap_s=100)
    drive(gate, 0, 1)
    first, second, third = (gate.sent(1) for _ in range(3))
    gate.answered(1, "throttled", 30, number=first)
    gate.answered(1, "throttled", 5000, number=second)
    gate.answered(1, "throttled", 10, number=third)
    assert gate.admit(1) == pytest.approx(100)


def test_the_breaker_opens_on_no_answer_and_on_5xx_but_never_on_4xx() -> None:
    for kind, state in (
        ("failed", "open"),
        ("unavailable", "open"),
        ("other", "closed"),
        ("throttled", "closed"),
    ):
        gate = make()
        for _ in range(50):
            if not gate.admit(0):
                exchange(gate, 0, kind)  # type: ignore[arg-type]
            else:
                gate.answered(0, kind, number=gate.sent(0))  # type: ignore[arg-type]
        assert gate.state == state, kind


def test_a_probe_answered_with_429_or_4xx_shows_that_the_endpoint_is_up() -> None:
    for kind in ("throttled", "other"):
        gate = make()
        for _ in range(10):
            exchange(gate, 0, "failed")
        assert gate.admit(0) == 5
        exchange(gate, 5, kind)  # type: ignore[arg-type]
        assert gate.state == "half-open"
        assert admitted(gate, 6, 64) == (2 if kind == "other" else 1), "429 also lowers the rate"


def test_a_cancelled_probe_is_followed_by_another() -> None:
    gate = make()
    for _ in range(10):
        exchange(gate, 0, "failed")
    cancelled = gate.sent(5)
    assert gate.admit(5) > 0
    gate.abandoned(cancelled)
    assert gate.admit(5) == 0


def test_admit_uses_up_nothing() -> None:
    gate = make((2, 10.0))
    for _ in range(100):
        assert gate.admit(0) == 0
    gate.sent(0)
    assert gate.admit(0) == 0


def test_the_longest_of_the_three_waits_applies() -> None:
    gate = make((1, 10.0))
    exchange(gate, 0, "throttled", 4)
    assert gate.admit(0) == pytest.approx(10)
    exchange(gate, 20, "throttled", 14)
    assert gate.admit(20) == pytest.approx(14)


def test_a_share_of_the_rate_limits_the_windows() -> None:
    gate = make((10, 1.0))
    gate.set_share(0.5)
    assert len(drive(gate, 0, 0.9)) == 5
