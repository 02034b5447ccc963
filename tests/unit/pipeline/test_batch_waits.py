"""Endpoints with batches: how long events wait for more, and how large a body becomes."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.batch_receiver import SentBatch
from tests.support.batch_worlds import ROOMY, deliver, fill, world_of
from tests.support.path import Plan, Process
from tests.support.simulated import simulated, until

LONG_S = 50.0


@simulated
async def test_events_do_not_wait_for_more_while_their_cursor_is_full() -> None:
    """With ``window`` below ``max_events``, no batch is ever full, and the backlog waited for each."""
    world, receiver = world_of(Plan(batch=(100, ROOMY, LONG_S, "array"), window=20))
    fill(world, map(str, range(200)))
    began = asyncio.get_running_loop().time()
    process = Process(world, max_batch=5).start()
    await until(lambda: len(receiver.accepted) == 200)
    assert asyncio.get_running_loop().time() - began < LONG_S / 2
    assert len(receiver.sent) <= 20, "it is sent in batches of what the window has"
    await process.stop()


@simulated
async def test_events_that_wait_are_sent_once_their_cursor_is_full() -> None:
    """The last of them make no lane ready, and fewer than ``max_events`` wait."""
    world, receiver = world_of(Plan(batch=(100, ROOMY, LONG_S, "array"), window=20))
    process = Process(world, max_batch=5).start()
    fill(world, map(str, range(10)), entities=1)
    await asyncio.sleep(1)
    assert not receiver.sent
    fill(world, map(str, range(10, 20)), entities=1)
    await until(lambda: receiver.sent, 5)
    assert [len(batch) for batch in receiver.batches] == [20]
    await process.stop()


@simulated
async def test_a_shorter_wait_applies_to_the_events_that_wait_already() -> None:
    world, receiver = world_of(Plan(batch=(100, ROOMY, LONG_S, "array")))
    process = Process(world).start()
    fill(world, "ab")
    await until(lambda: process.checkpoints.unsettled("crm") == 2)
    await process.reload({"crm": Plan(batch=(100, ROOMY, 0.1, "array"))})
    await until(lambda: receiver.sent, 2)
    assert receiver.batches == [["a", "b"]]
    await process.stop()


@simulated
@pytest.mark.parametrize("form", ["array", "object", "ndjson"])
async def test_no_body_of_several_events_is_larger_than_configured(form: str) -> None:
    """The brackets around the events are bytes of the body, too."""
    sizes = []
    for most_bytes in (ROOMY, 0, -1):
        limit = most_bytes if not sizes else sizes[0] + most_bytes
        world, receiver = world_of(Plan(batch=(100, limit, 0.5, form)))
        await deliver(world, fill(world, "abcdef"))
        sizes.append(len(receiver.sent[0].request.body))
    assert sizes[1] == sizes[0], "so many bytes are allowed"
    assert sizes[2] < sizes[0]


@simulated
async def test_a_batch_in_flight_takes_its_bytes_from_the_memory_budget_twice() -> None:
    """Once for its body, and once for the bodies of its events, which the history keeps."""
    world, receiver = world_of(Plan(batch=(10, ROOMY, 5.0, "array")))
    process = Process(world).start()
    used: list[int] = []

    async def answer(_: SentBatch) -> int:
        used.append(process.budget.used_bytes)
        return 200

    receiver.answer = answer
    fill(world, "abc")
    await until(lambda: process.checkpoints.unsettled("crm") == 3)
    waiting = process.budget.used_bytes
    await until(lambda: world.offsets.at("crm") == 3)
    assert used == [waiting + 2 * (len(receiver.sent[0].request.body) + 1)]
    assert process.budget.used_bytes == 0
    await process.stop()
