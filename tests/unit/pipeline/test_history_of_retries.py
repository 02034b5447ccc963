"""The history has when the attempt after a failed one was due; after the last one there is none."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.history.batch import decode
from bridge.telemetry.metrics import Metrics
from tests.support.attempts import batch_record
from tests.support.fakes import P0, FakeHistory, FakeParking, FakeReceiver, Sent, event
from tests.support.path import Plan, make_dispatcher
from tests.support.simulated import simulated, until


async def attempts_of(answers: list[int | Exception], max_attempts: int = 5) -> FakeHistory:
    """Deliver one event whose receiver gives these answers, until it is settled."""
    receiver, history = FakeReceiver(), FakeHistory()

    async def answer(_: Sent) -> int | Exception:
        return answers.pop(0)

    receiver.answer = answer
    cursor: Cursor[Failures] = Cursor(P0, 0, window=100, window_bytes=1 << 20)
    plan = Plan(max_attempts=max_attempts)
    dispatcher = make_dispatcher("crm", plan, receiver, FakeParking(), Metrics(), history=history)
    async with asyncio.TaskGroup() as tasks:
        workers = dispatcher.start(tasks)
        dispatcher.enqueue(event("a", 0), cursor)
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
