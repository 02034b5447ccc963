"""The pace of an endpoint: slow-down, pause, breaker and rate as one, on a clock that is moved."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridge.core.limits import Breaker, Pace, RateWindows, SlowDown
from bridge.model import AnswerKind


def make(*windows: tuple[int, float], cap_s: float = 86_400, concurrency: int = 64) -> Pace:
    breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=concurrency)
    return Pace(RateWindows(windows), SlowDown(), breaker, retry_after_cap_s=cap_s)


def exchange(pace: Pace, now: float, kind: AnswerKind, retry_after_s: float | None = None) -> None:
    pace.answered(now, kind, retry_after_s, number=pace.sent(now))


def drive(
    pace: Pace, begin: float, end: float, kind: AnswerKind = "ok", most_per_s: float = 1000
) -> list[float]:
    """Send and be answered at once, as often as allowed."""
    at, sent = begin, []
    while at < end:
        wait_s = pace.admit(at)
        if wait_s:
            at += wait_s
            continue
        exchange(pace, at, kind)
        sent.append(at)
        at += 1 / most_per_s
    return sent


def test_nothing_is_held_back_while_all_is_well() -> None:
    pace = make()
    assert len(drive(pace, 0, 10)) == pytest.approx(10_000, abs=1)
    assert (pace.state, pace.rate_per_s, pace.allowed_concurrency(64)) == ("closed", None, 64)


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
def test_trouble_halves_the_rate_of_the_whole_endpoint(kind: AnswerKind) -> None:
    pace = make()
    drive(pace, 0, 10, most_per_s=100)
    exchange(pace, 10, kind)
    assert pace.rate_per_s == pytest.approx(50, rel=0.05)
    assert len(drive(pace, 10, 11)) == pytest.approx(50, abs=6)


def test_quiet_time_is_not_saved_up_for_a_burst() -> None:
    pace = make()
    drive(pace, 0, 10, most_per_s=100)
    exchange(pace, 10, "throttled")
    assert len(drive(pace, 70, 70.5)) <= 40


@pytest.mark.parametrize("kind", ["failed", "other"])
def test_what_one_event_causes_slows_nobody_down(kind: AnswerKind) -> None:
    pace = make()
    drive(pace, 0, 1)
    exchange(pace, 1, kind, 60)
    assert pace.rate_per_s is None
    assert pace.admit(1) == 0


def test_the_answers_of_one_burst_halve_the_rate_once() -> None:
    pace = make()
    numbers = [pace.sent(0.5) for _ in range(64)]
    for number in numbers:
        pace.answered(0.6, "throttled", number=number)
    assert pace.rate_per_s == pytest.approx(32)


def test_the_rate_comes_back_step_by_step_and_then_the_limit_is_gone() -> None:
    pace = make()
    drive(pace, 0, 10, most_per_s=400)
    for _ in range(12):
        exchange(pace, 10, "throttled")
    assert pace.rate_per_s == pytest.approx(0.2)
    rates, at = [], 10.0
    while pace.rate_per_s is not None and at < 600:
        rates.append(pace.rate_per_s)
        drive(pace, at, at + 1, most_per_s=400)
        at += 1
    assert pace.rate_per_s is None
    assert at < 90
    assert all(later <= earlier * 1.57 for earlier, later in pairwise(rates))
    assert len(drive(pace, at, at + 1, most_per_s=400)) == pytest.approx(400, abs=1)


def test_the_rate_never_stops_altogether() -> None:
    pace = make()
    sent = drive(pace, 0, 1000, "throttled")
    assert max(later - earlier for earlier, later in pairwise(sent)) <= 5.001


def test_a_receiver_with_a_limit_of_its_own_is_found_and_mostly_used() -> None:
    """100 a second are taken, the rest is answered 429: few answers are, and much of it is used."""
    pace, taken, refused, at = make(), 0, 0, 0.0
    window: list[float] = []
    while at < 120:
        wait_s = pace.admit(at)
        if wait_s:
            at += wait_s
            continue
        window = [one for one in window if one > at - 1]
        if len(window) < 100:
            window.append(at)
            exchange(pace, at, "ok")
            taken += at > 20
        else:
            exchange(pace, at, "throttled")
            refused += at > 20
        at += 0.001
    assert taken > 7_000
    assert refused < 25


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
@pytest.mark.parametrize("asked_s", [1.0, 37.0, 0.5, 3600.0])
def test_retry_after_pauses_the_whole_endpoint_to_the_second(kind: AnswerKind, asked_s: float) -> None:
    pace = make()
    drive(pace, 0, 1)
    exchange(pace, 1, kind, asked_s)
    slowed_s = 1 / (pace.rate_per_s or 1)
    assert pace.admit(1) == pytest.approx(max(asked_s, slowed_s))
    assert pace.admit(1 + asked_s - 0.01) > 0
    assert pace.admit(1 + max(asked_s, slowed_s)) == 0


def test_the_longest_pause_counts_and_is_capped() -> None:
    pace = make(cap_s=100)
    drive(pace, 0, 1)
    first, second, third = (pace.sent(1) for _ in range(3))
    pace.answered(1, "throttled", 30, number=first)
    pace.answered(1, "throttled", 5000, number=second)
    pace.answered(1, "throttled", 10, number=third)
    assert pace.admit(1) == pytest.approx(100)


def test_the_breaker_opens_on_no_answer_and_on_5xx_never_on_4xx() -> None:
    for kind, state in (
        ("failed", "open"),
        ("unavailable", "open"),
        ("other", "closed"),
        ("throttled", "closed"),
    ):
        pace = make()
        for _ in range(50):
            if not pace.admit(0):
                exchange(pace, 0, kind)  # type: ignore[arg-type]
            else:
                pace.answered(0, kind, number=pace.sent(0))  # type: ignore[arg-type]
        assert pace.state == state, kind


def test_a_probe_answered_429_or_4xx_finds_the_endpoint_alive() -> None:
    for kind in ("throttled", "other"):
        pace = make()
        for _ in range(10):
            exchange(pace, 0, "failed")
        assert pace.admit(0) == 5
        exchange(pace, 5, kind)  # type: ignore[arg-type]
        assert pace.state == "half-open"
        assert pace.allowed_concurrency(64) == 2


def test_a_cancelled_probe_is_followed_by_another() -> None:
    pace = make()
    for _ in range(10):
        exchange(pace, 0, "failed")
    cancelled = pace.sent(5)
    assert pace.admit(5) > 0
    pace.abandoned(cancelled)
    assert pace.admit(5) == 0


def test_asking_costs_nothing() -> None:
    pace = make((2, 10.0))
    for _ in range(100):
        assert pace.admit(0) == 0
    pace.sent(0)
    assert pace.admit(0) == 0


def test_the_longest_of_the_three_waits_counts() -> None:
    pace = make((1, 10.0))
    exchange(pace, 0, "throttled", 4)
    assert pace.admit(0) == pytest.approx(10)
    exchange(pace, 20, "throttled", 14)
    assert pace.admit(20) == pytest.approx(14)


def test_a_share_reaches_the_windows() -> None:
    pace = make((10, 1.0))
    pace.set_share(0.5)
    assert len(drive(pace, 0, 0.9)) == 5
