"""One request at once, when an operator requests it: the gate admits it, and its answer decides the rest."""

from __future__ import annotations

import pytest

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.model import AnswerKind


def make_gate(*windows: tuple[int, float]) -> Gate:
    breaker = Breaker(failures=3, window_s=30, open_s=60, max_open_s=600, concurrency=8)
    return Gate(RateWindows(windows, 1.0), AdaptiveLimit(8), breaker, retry_after_cap_s=86_400)


def exchange(gate: Gate, now: float, kind: AnswerKind, retry_after_s: float | None = None) -> None:
    assert gate.admit(now) == 0
    gate.answered(now, kind, retry_after_s, number=gate.sent(now))


def opened() -> Gate:
    gate = make_gate()
    while gate.state == "closed":
        exchange(gate, 0.0, "failed")
    return gate


def test_an_open_breaker_admits_exactly_one_request() -> None:
    gate = opened()
    assert gate.admit(1.0) > 50
    gate.try_now(1.0)
    assert gate.admit(1.0) == 0
    number = gate.sent(1.0)
    assert gate.admit(1.0) > 0, "the probe is alone"
    gate.answered(1.1, "ok", number=number)
    assert gate.admit(1.1) == 0


def test_a_probe_that_fails_leaves_the_breaker_open() -> None:
    gate = opened()
    gate.try_now(1.0)
    exchange(gate, 1.0, "failed")
    assert gate.state == "open"
    assert gate.admit(1.0) >= 60


@pytest.mark.parametrize("paused_by", ["throttled", "unavailable", "ok"])
def test_a_retry_after_of_an_hour_gives_way_to_exactly_one_request(paused_by: AnswerKind) -> None:
    gate = make_gate()
    exchange(gate, 0.0, paused_by, 3600)
    assert gate.admit(1.0) > 3500
    gate.try_now(1.0)
    assert gate.admit(1.0) == 0
    number = gate.sent(1.0)
    assert gate.admit(1.0) > 3500, "the answer decides whether more may follow"
    gate.answered(1.5, "ok", number=number)
    assert gate.admit(2.0) <= 2.1, "a rate that was found may still apply"


@pytest.mark.parametrize("kind", ["throttled", "unavailable", "failed"])
def test_a_refusal_keeps_the_pause(kind: AnswerKind) -> None:
    gate = make_gate()
    exchange(gate, 0.0, "throttled", 3600)
    gate.try_now(1.0)
    exchange(gate, 1.0, kind)
    assert gate.admit(2.0) > 3500


def test_an_abandoned_probe_is_forgotten_and_another_may_be_requested() -> None:
    gate = make_gate()
    exchange(gate, 0.0, "throttled", 3600)
    gate.try_now(1.0)
    gate.abandoned(gate.sent(1.0))
    assert gate.admit(1.0) > 3500
    gate.try_now(2.0)
    assert gate.admit(2.0) == 0


def test_the_configured_rate_still_applies() -> None:
    gate = make_gate((1, 10.0))
    exchange(gate, 0.0, "ok")
    gate.try_now(1.0)
    assert gate.admit(1.0) > 8


def test_nothing_changes_for_an_endpoint_that_waits_for_nothing() -> None:
    gate = make_gate()
    gate.try_now(0.0)
    for now in (0.0, 0.1, 0.2):
        exchange(gate, now, "ok")
    assert gate.rate_per_s is None
