"""What a running bridge shows of an overloaded receiver: gauges, and words in the readiness line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bridge.app.status import Status
from bridge.app.switching import Switching
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.dead_letters.hold import Holds
from bridge.kafka.group_reader import Reader
from bridge.model import AnswerKind
from bridge.settings import Settings
from bridge.telemetry.metrics import Metrics
from bridge.wiring.path import Path


def refused(kind: AnswerKind) -> Gate:
    """Return the gate of an endpoint whose receiver refused four requests with another one in flight."""
    breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=8)
    gate = Gate(RateWindows(()), AdaptiveLimit(8), breaker, retry_after_cap_s=60)
    gate.sent(0)
    for tenth in range(4):
        gate.answered(tenth / 10 + 0.05, kind, number=gate.sent(tenth / 10))
    return gate


@pytest.mark.parametrize(
    ("kind", "rate", "at_once", "words"),
    [
        (
            "throttled",
            pytest.approx(5, rel=0.5),
            8,
            "slowed: crm to 5.0 per second (3 of 3 answers: too many requests)",
        ),
        ("unavailable", 0, 4, "slowed: crm to 4 at once (3 of 3 answers: busy (502, 503, 504))"),
        ("ok", 0, 8, ""),
    ],
)
def test_a_slowed_endpoint_shows_its_limit_and_why(
    kind: AnswerKind, rate: float, at_once: int, words: str
) -> None:
    off = SimpleNamespace(off_endpoints=lambda: [], off_event_types=lambda: [])
    status = Status(
        cast("Settings", SimpleNamespace(group="g", sources={})),
        cast("Switching", off),
        cast("Holds", SimpleNamespace(counts=lambda _: {})),
    )
    dispatcher = SimpleNamespace(gate=refused(kind), on=True, in_flight=1)
    pipeline, checkpoints = SimpleNamespace(without_schema=()), SimpleNamespace(unsettled=lambda _: 0)
    path = SimpleNamespace(pipeline=pipeline, dispatchers={"crm": dispatcher}, checkpoints=checkpoints)
    reader = SimpleNamespace(epoch=1, unprepared=False, assigned=(), topics=())
    metrics = Metrics()
    status.watch(metrics, cast("Reader", reader), cast("Path", path))
    labels = {"endpoint": "crm"}
    assert metrics.registry.get_sample_value("hookferry_endpoint_rate_limit", labels) == rate
    assert metrics.registry.get_sample_value("hookferry_endpoint_concurrency_limit", labels) == at_once
    assert words in status.readiness()[1]
    assert bool(words) == ("slowed" in status.readiness()[1])
