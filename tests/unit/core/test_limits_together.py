"""The gate of an endpoint: slow-down, pause, breaker and rate as one, on a clock that is moved."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.model import AnswerKind


def make(*windows: tuple[int, float], cap_s: float = 86_400, concurrency: int = 64) -> Gate:
    breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=concurrency)
    return Gate(RateWindows(windows), AdaptiveLimit(concurrency), breaker, retry_after_cap_s=cap_s)


def rate_of(gate: Gate) -> float | None:
    """The rate that the receiver is limited to after an overload; None without a limit."""
    return gate.rate_per_s


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


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["ok", "ok", "ok", "failed", "throttled", "unavailable", "try", "wait", "follow"]
            ),
            st.sampled_from([None, None, 1.0, 50.0]),
        ),
        max_size=60,
    ),
    st.booleans(),
)
def test_an_open_gate_admits_every_request_and_one_with_a_rate_is_never_open(
    steps: list[tuple[Any, float | None]], has_rate: bool
) -> None:
    gate, now = make(*[(1000, 1.0)] * has_rate, concurrency=8), 0.0
    for step, retry_after_s in steps:
        now += 0.01
        if step == "try":
            gate.try_now(now)
        elif step == "wait":
            now += retry_after_s or 0.0
        elif step == "follow":
            gate.follow(make((10, 1.0)))
        elif gate.admit(now) == 0:
            exchange(gate, now, step, retry_after_s)
        if gate.is_open:
            assert not has_rate
            assert not gate.limits(now)
            assert gate.admit(now) == 0


def test_a_gate_is_open_while_the_endpoint_works_and_not_after_a_failure() -> None:
    gate = make()
    assert not gate.is_open
    assert gate.admit(0.0) == 0
    assert gate.is_open
    exchange(gate, 0.1, "failed")
    assert not gate.is_open


def test_a_working_endpoint_is_not_limited() -> None:
    gate = make()
    assert len(drive(gate, 0, 10)) == pytest.approx(10_000, abs=1)
    assert (gate.state, rate_of(gate), admitted(gate, 10, 64)) == ("closed", None, 64)


def refuse(gate: Gate, begin: float, *, every: int, times: int, kind: AnswerKind) -> float:
    """Send 100 per second and be refused every so often; return the instant after the last request."""
    at = begin
    for number in range(times):
        if wait_s := gate.admit(at):
            at += wait_s
        exchange(gate, at, kind if number % every == 0 else "ok")
        at += 0.01
    return at


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
@pytest.mark.parametrize("every", [1000, 100, 50])
def test_a_trickle_of_refusals_limits_nothing(kind: AnswerKind, every: int) -> None:
    gate = make()
    drive(gate, 0, 10, most_per_s=100)
    refuse(gate, 10, every=every, times=3000, kind=kind)
    assert (rate_of(gate), gate.concurrency, gate.slowed) == (None, 64, False)


def test_a_share_of_429_limits_the_rate_to_what_was_accepted() -> None:
    gate = make()
    drive(gate, 0, 10, most_per_s=100)
    refuse(gate, 10, every=5, times=52, kind="throttled")
    assert rate_of(gate) == pytest.approx(80, rel=0.05)
    assert gate.slowed
    assert gate.reason == "10 of 51 answers: too many requests"
    assert len(drive(gate, 11, 12)) == pytest.approx(80, abs=8)


def test_answers_that_the_receiver_is_busy_limit_the_requests_in_flight() -> None:
    """A receiver with 8 workers refuses the rest at once: 64 at once are too many, 8 are not."""
    gate = make()
    gate.answered(0, "unavailable", number=gate.sent(0))
    begun = [gate.sent(0.01) for _ in range(64)]
    for number in begun[8:]:
        gate.answered(0.02, "unavailable", number=number)
    at = 0.03
    while gate.concurrency > 8:
        number = gate.sent(at)
        gate.answered(at + 0.01, "unavailable", number=number)
        at += 0.02
    assert (gate.concurrency, rate_of(gate), gate.state) == (8, None, "closed")
    assert gate.admit(at) > 0
    gate.answered(at, "ok", number=begun[0])
    assert gate.admit(at) == 0
    assert "busy" in gate.reason


def test_idle_time_does_not_allow_a_burst_later() -> None:
    gate = make()
    drive(gate, 0, 10, most_per_s=100)
    refuse(gate, 10, every=2, times=60, kind="throttled")
    assert len(drive(gate, 70, 70.5)) <= 40


@pytest.mark.parametrize("kind", ["failed", "other"])
def test_an_error_that_one_event_causes_does_not_lower_the_rate(kind: AnswerKind) -> None:
    gate = make()
    drive(gate, 0, 1)
    exchange(gate, 1, kind, 60)
    assert rate_of(gate) is None
    assert gate.admit(1) == 0


def test_the_answers_of_one_burst_lower_the_rate_once() -> None:
    gate = make()
    refuse(gate, 0, every=2, times=8, kind="throttled")
    numbers = [gate.sent(1) for _ in range(64)]
    before = rate_of(gate)
    assert before is not None
    for number in numbers:
        gate.answered(1.6, "throttled", number=number)
    assert rate_of(gate) == pytest.approx(before / 2)


def test_the_rate_never_falls_to_zero() -> None:
    gate = make()
    sent = drive(gate, 0, 1000, "throttled")
    assert max(later - earlier for earlier, later in pairwise(sent)) <= 2.001


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
    assert taken > 9_000
    assert refused < 0.05 * taken


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
@pytest.mark.parametrize("asked_s", [1.0, 37.0, 0.5, 3600.0])
def test_retry_after_pauses_the_whole_endpoint_to_the_second(kind: AnswerKind, asked_s: float) -> None:
    gate = make()
    drive(gate, 0, 1)
    exchange(gate, 1, kind, asked_s)
    assert gate.admit(1) == pytest.approx(asked_s)
    assert gate.admit(1 + asked_s - 0.01) > 0
    assert gate.admit(1 + asked_s) == 0


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
        assert admitted(gate, 6, 64) == 2


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


def arrivals(connect_s: float, seconds: float) -> list[float]:
    """Return when requests reach a receiver if the first four each need a new connection."""
    gate, now, arrived = make((4, 1.0)), 0.0, list[float]()
    pending: list[tuple[float, int]] = []
    while now < seconds:
        wait_s = gate.admit(now)
        if not wait_s:
            number = gate.sent(now)
            arrived.append(now + (connect_s if number <= 4 else 0.001))
            pending.append((arrived[-1] + 0.001, number))
            continue
        if pending and pending[0][0] <= now + wait_s:
            now, number = pending.pop(0)
            gate.answered(now, "ok", number=number)
        else:
            now += wait_s
    return arrived


@pytest.mark.parametrize("connect_s", [0.002, 0.1, 0.5, 0.9])
def test_slow_first_connections_do_not_let_two_windows_arrive_in_one(connect_s: float) -> None:
    """A window begins when requests reach the receiver, not when they wait for a connection."""
    arrived = arrivals(connect_s, 10)
    assert all(later - earlier >= 1 - 0.01 for earlier, later in zip(arrived, arrived[4:], strict=False))
    assert len(arrived) >= 36


def test_slow_answers_do_not_lower_a_configured_rate() -> None:
    gate, sent, now = make((4, 1.0)), list[float](), 0.0
    while now < 30:
        if wait_s := gate.admit(now):
            now += wait_s
        else:
            sent.append(now)
            number = gate.sent(now)
            if number > 40:
                gate.answered(now, "ok", number=number - 40)
    assert len(sent) >= 100
