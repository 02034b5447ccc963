"""The socket between a supervisor and a worker: questions, and the end of either."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bridge.app.worker_link import WorkerLink, WorkerPlace, parse_place
from bridge.telemetry import events
from bridge.workers.questions import QuestionSocket


@asynccontextmanager
async def linked(
    answers: dict[str, Callable[[], object]], on_lost: Callable[[], None] = lambda: None
) -> AsyncIterator[tuple[QuestionSocket, WorkerLink]]:
    questions = QuestionSocket()
    link = WorkerLink(WorkerPlace(1, os.dup(questions.other.fileno())))
    questions.other.close()
    await link.open(answers, on_lost)
    await questions.open()
    try:
        yield questions, link
    finally:
        await link.close()
        await questions.close()


async def test_answers_of_any_size_arrive_whole() -> None:
    large = [["hookferry_x", "é" * 50_000, number] for number in range(40)]
    async with linked({"metrics": lambda: large, "status": lambda: [True, "ready"]}) as (questions, _):
        both = await asyncio.gather(questions.ask("metrics", 30), questions.ask("status", 30))
        assert list(both) == [large, [True, "ready"]]


async def test_a_late_answer_is_not_taken_for_that_of_the_next_question() -> None:
    questions = QuestionSocket()
    await questions.open()
    try:
        assert await questions.ask("status", 0.01) is None
        link = WorkerLink(WorkerPlace(1, os.dup(questions.other.fileno())))
        count = iter(range(10))
        await link.open({"status": lambda: next(count)}, lambda: None)
        assert await questions.ask("status", 30) == 1, "the answer to the first question was used"
        await link.close()
    finally:
        questions.other.close()
        await questions.close()


async def test_a_worker_that_has_ended_answers_nothing_and_breaks_nothing() -> None:
    async with linked({"status": lambda: 1}) as (questions, link):
        await link.close()
        for _ in range(3):
            assert await questions.ask("status", 30) is None


async def test_a_worker_hears_when_its_supervisor_has_ended() -> None:
    lost = asyncio.Event()
    with capture_logs() as lines:
        async with linked({"status": lambda: 1}, lost.set) as (questions, _):
            await questions.close()
            await asyncio.wait_for(lost.wait(), 30)
    (line,) = lines
    assert line["event"] == events.SUPERVISOR_LOST
    assert {"cause", "remedy"} <= line.keys()


async def test_a_worker_that_stops_in_order_does_not_report_a_lost_supervisor() -> None:
    with capture_logs() as lines:
        async with linked({"status": lambda: 1}):
            pass
    assert not lines


@pytest.mark.parametrize("place", [WorkerPlace(1, 5), WorkerPlace(256, 1023)])
def test_the_place_of_a_worker_passes_the_command_line(place: WorkerPlace) -> None:
    assert parse_place(str(place)) == place
