"""What is logged of an overloaded receiver: the limits and the reason, once per minute, and their end."""

from __future__ import annotations

from structlog.testing import capture_logs

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.model import AnswerKind
from bridge.pipeline.limit_log import LimitLog
from bridge.telemetry.throttle import Throttle


class Stage:
    """A gate, what is logged of it, and a clock."""

    def __init__(self) -> None:
        breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=8)
        self.gate = Gate(RateWindows(()), AdaptiveLimit(8), breaker, retry_after_cap_s=60)
        self.now = 0.0
        self.log = LimitLog("crm", self.gate, Throttle(60, lambda: self.now))

    def exchange(self, *kinds: AnswerKind) -> None:
        """Send as soon as allowed, be answered, and note it as an attempt does."""
        for kind in kinds:
            while wait_s := self.gate.admit(self.now):
                self.now += wait_s
            number = self.gate.sent(self.now)
            self.now += 0.01
            self.gate.answered(self.now, kind, number=number)
            if self.gate.slowed or self.log.slowed:
                self.log.note()


def test_a_slowed_endpoint_is_logged_with_limits_and_reason() -> None:
    stage = Stage()
    with capture_logs() as lines:
        stage.exchange(*(["throttled"] * 4))
    assert lines == [
        {
            "event": "endpoint.slowed",
            "log_level": "warning",
            "endpoint": "crm",
            "rate_per_s": 50.0,
            "concurrency": 8,
            "reason": "3 of 3 answers: too many requests",
        }
    ]


def test_it_is_logged_once_per_minute_while_it_lasts() -> None:
    stage = Stage()
    with capture_logs() as lines:
        while stage.now < 150:
            stage.exchange("throttled")
    assert [line["event"] for line in lines] == ["endpoint.slowed"] * 3
    assert lines[-1]["rate_per_s"] == 0.5


def test_the_end_is_logged_once() -> None:
    stage = Stage()
    with capture_logs() as lines:
        stage.exchange(*(["throttled"] * 4), *(["ok"] * 4000))
    assert [line["event"] for line in lines] == ["endpoint.slowed", "endpoint.recovered"]
    assert not stage.gate.slowed


def test_a_trickle_of_refusals_is_not_logged() -> None:
    stage = Stage()
    with capture_logs() as lines:
        for _ in range(20):
            stage.exchange("unavailable", *(["ok"] * 60))
    assert lines == []
