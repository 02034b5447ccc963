"""What a running bridge shows: its readiness in words, and gauges and words for an overloaded receiver."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from bridge.app.status import Status
from bridge.app.switching import Switching
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.core.readiness import GroupPlace
from bridge.dead_letters.hold import Holds
from bridge.kafka.group_view import GroupView
from bridge.model import AnswerKind, Partition
from bridge.settings import Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.wiring.path import Path


def status_of() -> Status:
    """Return the status of a bridge in which nothing is off or held."""
    off = SimpleNamespace(off_endpoints=lambda: [], off_event_types=lambda: [])
    return Status(
        cast("Settings", SimpleNamespace(group="g", sources={})),
        cast("Switching", off),
        cast("Holds", SimpleNamespace(counts=lambda _: {})),
    )


def watch(status: Status, reader: SimpleNamespace, **dispatchers: SimpleNamespace) -> Metrics:
    """Let the status report these parts; return its metrics."""
    pipeline, checkpoints = SimpleNamespace(without_schema=()), SimpleNamespace(unsettled=lambda _: 0)
    path = SimpleNamespace(pipeline=pipeline, dispatchers=dispatchers, checkpoints=checkpoints)
    metrics = Metrics()
    status.watch(metrics, cast("GroupView", reader), cast("Path", path))
    return metrics


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
    status = status_of()
    place = GroupPlace(group="g", silent_s=0, session_timeout_s=10, assigned=0)
    dispatcher = SimpleNamespace(gate=refused(kind), on=True, in_flight=1)
    metrics = watch(status, SimpleNamespace(place=place, assigned=(), failing=0, topics=()), crm=dispatcher)
    labels = {"endpoint": "crm"}
    assert metrics.registry.get_sample_value("hookferry_endpoint_rate_limit", labels) == rate
    assert metrics.registry.get_sample_value("hookferry_endpoint_concurrency_limit", labels) == at_once
    assert words in status.readiness()[1]
    assert bool(words) == ("slowed" in status.readiness()[1])


def test_a_start_and_a_stop_are_not_ready_and_say_what_they_wait_for() -> None:
    status = status_of()
    reader = SimpleNamespace(place=None, assigned=(), failing=0, topics=())
    status.enter("no broker at k:9092 has answered yet")
    assert status.readiness() == (False, "starting: no broker at k:9092 has answered yet")
    metrics = watch(status, reader)
    status.enter("waiting for the first assignment of group g")
    assert metrics.registry.get_sample_value("hookferry_ready") == 0
    assert status.readiness() == (False, "starting: waiting for the first assignment of group g")
    reader.place = GroupPlace(group="g", silent_s=0, session_timeout_s=10, assigned=9)
    reader.assigned = (Partition("orders", 0), Partition("g.again", 0))
    assert status.readiness() == (True, "assigned: 1 partitions")
    assert metrics.registry.get_sample_value("hookferry_ready") == 1
    status.stop()
    assert status.readiness() == (False, "stopping: finishing the requests in flight")


async def test_each_change_of_the_readiness_is_logged_once() -> None:
    status = status_of()
    reader = SimpleNamespace(place=None, assigned=(), failing=0, topics=())
    watch(status, reader)
    working = GroupPlace(group="g", silent_s=0.3, session_timeout_s=10, assigned=0)
    places = [working, replace(working, silent_s=12.0), replace(working, silent_s=13.0), working]
    with capture_logs() as logs:
        task = asyncio.create_task(status.log_changes(every_s=0))
        await asyncio.sleep(0)
        for place in places:
            reader.place = place
            for _ in range(3):
                await asyncio.sleep(0)
        task.cancel()
    assert [(line["event"], line["ready"], line["state"]) for line in logs] == [
        (events.READINESS_CHANGED, False, "starting"),
        (events.READINESS_CHANGED, True, "standing by"),
        (events.READINESS_CHANGED, False, "no answer"),
        (events.READINESS_CHANGED, True, "standing by"),
    ]
