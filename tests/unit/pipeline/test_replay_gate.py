"""The gate of a replay: live deliveries have precedence, and the limits of the endpoint hold for both."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.pipeline.replay.gate import ReplayGate, windows_of


def gate_of(windows: tuple[tuple[int, float], ...] = ()) -> Gate:
    breaker = Breaker(failures=2, window_s=30, open_s=5, max_open_s=60, concurrency=4)
    return Gate(RateWindows(windows), AdaptiveLimit(4), breaker, retry_after_cap_s=60)


@dataclass
class Live:
    """Live deliveries of an endpoint with a concurrency of four."""

    gate: Gate = field(default_factory=gate_of)
    in_flight: int = 0
    on: bool = True
    waits_for_gate: bool = False
    woken: int = 0

    def wake(self) -> None:
        self.woken += 1


def test_an_endpoint_that_is_off_gets_nothing() -> None:
    live = Live()
    gate = ReplayGate(live, RateWindows(()), 4)
    assert gate.admit(0.0) == 0
    live.on = False
    assert gate.admit(0.0) > 0


def test_a_live_event_that_waits_goes_first() -> None:
    gate = ReplayGate(Live(waits_for_gate=True), RateWindows(()), 4)
    assert gate.admit(0.0) > 0


@pytest.mark.parametrize(("live", "most"), [(0, 2), (2, 2), (3, 1), (4, 1), (9, 1)])
def test_a_replay_uses_free_slots_up_to_half_and_one_in_any_case(live: int, most: int) -> None:
    gate = ReplayGate(Live(in_flight=live), RateWindows(()), 4)
    sent = 0
    while gate.admit(0.0) == 0:
        gate.sent(0.0)
        sent += 1
    assert sent == most


def test_the_requests_of_a_replay_use_up_the_rate_of_the_endpoint() -> None:
    live = Live(gate_of(((2, 10.0),)))
    gate = ReplayGate(live, RateWindows(()), 4)
    gate.answered(0.1, "ok", number=gate.sent(0.0))
    gate.answered(0.2, "ok", number=gate.sent(0.1))
    assert live.gate.admit(1.0) > 0
    assert live.woken == 2


def test_failures_of_a_replay_open_the_breaker_of_the_endpoint() -> None:
    live = Live()
    gate = ReplayGate(live, RateWindows(()), 4)
    for at in range(4):
        gate.answered(at + 0.5, "failed", number=gate.sent(float(at)))
    assert live.gate.state == gate.state == "open"
    assert gate.admit(5.0) > 0


@pytest.mark.parametrize(("rate", "share", "sent"), [(10.0, 1.0, 10), (10.0, 0.5, 5), (0.5, 1.0, 1)])
def test_a_rate_is_shared_by_the_processes(rate: float, share: float, sent: int) -> None:
    gate = ReplayGate(Live(), windows_of(rate, share), 4)
    number = 0
    while gate.admit(0.0) == 0:
        gate.answered(0.0, "ok", number=gate.sent(0.0))
        number += 1
    assert number == sent
    assert gate.admit(1 / min(rate, 1) + 0.01) == 0
