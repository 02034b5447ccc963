"""The history has when the attempt after a failed one was due; after the last one there is none."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.errors import TransportError, TransportFault
from bridge.history.batch import decode
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.attempts import batch_record
from tests.support.counted import counted
from tests.support.fakes import P0, FakeHistory, FakeParking, FakeReceiver, Sent, event
from tests.support.path import Plan, make_dispatcher
from tests.support.simulated import simulated, until


async def attempts_of(
    answers: list[int | Exception], max_attempts: int = 5, metrics: Metrics | None = None
) -> FakeHistory:
    """Deliver one event whose receiver gives these answers, until it is settled."""
    receiver, history = FakeReceiver(), FakeHistory()

    async def answer(_: Sent) -> int | Exception:
        return answers.pop(0)

    receiver.answer = answer
    cursor: Cursor[Failures] = Cursor(P0, 0, window=100, window_bytes=1 << 20)
    plan = Plan(max_attempts=max_attempts)
    dispatcher = make_dispatcher("crm", plan, receiver, FakeParking(), metrics or Metrics(), history=history)
    async with asyncio.TaskGroup() as tasks:
        workers = dispatcher.start(tasks)
        dispatcher.enqueue([event("a", 0)], cursor)
        cursor.advance(1)
        await until(lambda: cursor.progress().offset == 1)
        for worker in workers:
            worker.cancel()
    return history


@simulated
async def test_the_next_attempt_is_made_when_the_history_says() -> None:
    history = await attempts_of([500, 503, 500, 200])
    rows = history.rows
    assert [row.attempt for row in rows] == [1, 2, 3, 4]
    for row, following in pairwise(rows):
        assert row.next_s == pytest.approx(following.sent_s, abs=0.01)
    assert rows[-1].next_s is None


@simulated
async def test_the_last_attempt_of_an_event_that_is_parked_has_no_next_one() -> None:
    history = await attempts_of([500, 500, 500], max_attempts=3)
    assert [row.next_s is None for row in history.rows] == [False, False, True]
    record = batch_record(0, *history.rows)
    kept = [one.attempt for one in decode(record)[1]]
    assert [one.verdict for one in kept] == ["again", "again", "park"]
    assert kept[-1].reason == "gave up after 3 attempts; the last: status 500"


@simulated
async def test_an_event_that_is_refused_for_good_has_no_next_attempt() -> None:
    history = await attempts_of([500, 404])
    assert [(row.verdict, row.next_s is None) for row in history.rows] == [("again", False), ("park", True)]


USED_UP: list[tuple[list[int | Exception], int, str, str]] = [
    ([500, 503], 2, "gave up after 2 attempts; the last: status 503", "5xx"),
    ([429], 1, "gave up after 1 attempts; the last: status 429", "4xx"),
    ([TransportError("read: timeout", TransportFault.TIMEOUT)], 1, "the last: read: timeout", "none"),
]


@pytest.mark.parametrize(("answers", "most", "reason", "status"), USED_UP)
def test_the_last_attempt_is_parked_in_log_metric_and_history_alike(
    answers: list[int | Exception], most: int, reason: str, status: str
) -> None:
    @simulated
    async def run() -> None:
        metrics = Metrics()
        with capture_logs() as lines:
            history = await attempts_of(list(answers), most, metrics)
        logged = [line for line in lines if line["event"] == events.DELIVERY_ATTEMPTED]
        verdicts = ["again"] * (most - 1) + ["park"]
        assert [line["verdict"] for line in logged] == verdicts
        assert [row.verdict for row in history.rows] == verdicts
        assert reason in logged[-1]["reason"]
        assert logged[-1]["reason"] == history.rows[-1].reason
        assert counted(metrics, "attempts_total", verdict="park", status=status) == 1
        assert counted(metrics, "attempts_total", verdict="again") == most - 1
        assert counted(metrics, "parked_total", reason="retries_used_up") == 1

    run()
